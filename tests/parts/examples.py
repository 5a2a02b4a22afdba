"""How the examples of a property are tried: each may take as long as a busy machine makes it."""

from hypothesis import HealthCheck, settings

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

SHARING = settings(
    UNHURRIED,
    suppress_health_check=[*UNHURRIED.suppress_health_check, HealthCheck.function_scoped_fixture],
)
"""For properties whose examples all use the fixtures of the one test."""
