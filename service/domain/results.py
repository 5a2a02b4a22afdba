"""What stories came to, in four words for people who look at many."""

from service.domain.states import UNFINISHED_STORIES, StoryState

RESULTS = ("published", "not published", "cancelled", "under way")
"""From the one that is hoped for to the one that may still become anything."""

RESULT_OF = {
    StoryState.SETTLED: "published",
    StoryState.CANCELLED: "cancelled",
    **dict.fromkeys((StoryState.FAILED, StoryState.UNKNOWN, StoryState.GIVEN_UP), "not published"),
    **dict.fromkeys(UNFINISHED_STORIES, "under way"),
}
