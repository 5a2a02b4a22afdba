"""Submissions and prices as programs read them."""

from typing import Any

from service.story_api import RATES, Estimate
from service.submission import Submitted


def submitted_json(submitted: Submitted) -> dict[str, Any]:
    """What came of a submission."""
    return {
        "story_id": submitted.story_id,
        "submission_id": submitted.submission_id,
        "state": submitted.state,
        "estimated_credits": submitted.estimated_credits,
        "used_credits": submitted.used_credits,
    }


def estimate_json(estimated: Estimate) -> dict[str, Any]:
    """A price, and the rates that it follows from."""
    return {
        "credits": estimated.credits,
        "dollars": str(estimated.dollars),
        "formula": estimated.formula,
        "tier": estimated.rate.tier,
        "credits_per_second": estimated.rate.credits_per_second,
        "rates": [
            {
                "tier": rate.tier,
                "credits_per_second": rate.credits_per_second,
                "video_tools": rate.video_tools,
            }
            for rate in RATES
        ],
    }
