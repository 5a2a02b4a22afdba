"""What the Procfile's `web` runs with; the settings themselves are part of the package, which `up` uses alone."""

from service.web.serving import *  # noqa: F403
