"""What an automatic story will cost, by the V2 reference's table of rates."""

from dataclasses import dataclass
from decimal import Decimal

from service.story_api.schema import VideoRequest

CREDITS_PER_DOLLAR = 100
"""By the reference, for Business plans: 100 credits are US$1.00."""


@dataclass(frozen=True)
class Rate:
    """One row of the table: credits for a second of a scene, and the video tools that it holds for."""

    tier: str
    credits_per_second: int
    video_tools: tuple[str, ...]


RATES = (
    Rate("Standard", 10, ("Auto", "KlingAI", "Seedance", "Pixverse", "VeoFast", "Vidu")),
    Rate("Economy", 5, ("AutoT1", "PVideo", "VeoLite")),
)
"""The reference's first example prices Vidu at 5; its table says 10, and the table is the rule."""


@dataclass(frozen=True)
class Estimate:
    """A price before the fact; `used_credits` of the story is what was charged. `dollars`: US$, to the cent."""

    credits: int
    dollars: Decimal
    formula: str
    rate: Rate


def estimate(request: VideoRequest) -> Estimate:
    """Prices a request: rate × scenes × seconds a scene, twice that with native audio."""
    rate = next(row for row in RATES if request.video_tool in row.video_tools)
    price = rate.credits_per_second * request.scenes * request.scene_duration * (1 + request.native_audio)
    doubled = " × 2 (native audio)" if request.native_audio else ""
    formula = f"{rate.credits_per_second} × {request.scenes} scenes × {request.scene_duration} s{doubled}"
    dollars = (Decimal(price) / CREDITS_PER_DOLLAR).quantize(Decimal("0.01"))
    return Estimate(price, dollars, f"{formula} = {price} credits", rate)
