"""The eight stories: what each asks for, what goes wrong on its way, and how it has to end."""

from dataclasses import dataclass

from service.domain.states import NoticedBy, StoryState
from service.story_api import IdeaToVideo

SLACK, WEBHOOK, ARCHIVE, MAIL = "slack", "webhook", "archive", "mail"
DESTINATIONS = (SLACK, WEBHOOK, ARCHIVE, MAIL)
TALL = "9:16"
"""Stories of this shape also take the route to the mailbox."""

SCENES, SCENE_SECONDS = 2, 2


@dataclass(frozen=True)
class Wish:
    """One story.

    `faults` is what the emulator is asked to do wrong, `met` says it for people. `webhooks` is how many arrive;
    `noticed` what tells us first that the story is finished. `reason` must stand in the story's message.
    """

    title: str
    idea: str
    faults: str
    met: str
    aspect_ratio: str = "16:9"
    language: str = "English"
    webhooks: int = 1
    noticed: NoticedBy = NoticedBy.WEBHOOK
    ends: StoryState = StoryState.SETTLED
    reason: str = ""

    @property
    def destinations(self) -> frozenset[str]:
        """Where it has to arrive: nowhere when there is no video to be had."""
        if self.ends != StoryState.SETTLED:
            return frozenset()
        return frozenset({SLACK, WEBHOOK, ARCHIVE} | ({MAIL} if self.aspect_ratio == TALL else set()))

    def request(self) -> IdeaToVideo:
        """The submission; the emulator finds its faults in the idea, as a real API's client can set nothing else."""
        return IdeaToVideo.read(
            {
                "title": self.title,
                "idea": f"{self.idea} [fault:{self.faults}]",
                "scene_count": SCENES,
                "scene_duration": SCENE_SECONDS,
                "aspect_ratio": self.aspect_ratio,
                "language": self.language,
            }
        )


WISHES = (
    Wish(
        "The keeper's parrot",
        "A parrot learns the foghorn by heart. One night the foghorn breaks.",
        faults="webhook-twice webhook-out-of-order",
        met="webhooks doubled, out of order",
        webhooks=4,
    ),
    Wish(
        "Tea for <b>two</b> & fox",
        "A fox rings at teatime. It has brought its own cup.",
        faults="webhook-never",
        met="no webhook at all",
        aspect_ratio=TALL,
        webhooks=0,
        noticed=NoticedBy.POLL,
    ),
    Wish(
        "🦊 in the [bold]snow[/]",
        "The fox whistles and the snow answers. Nobody believes the fox.",
        faults="webhook-late=5",
        met="webhook five seconds late",
        aspect_ratio="1:1",
    ),
    Wish(
        "القمر فوق البحر",
        "The moon rests on the sea. A boat asks it for the way home.",
        faults="webhook-early api-burst=3",
        met="webhook early; API errors",
        aspect_ratio=TALL,
        language="Arabic",
    ),
    Wish(
        "<!channel> The old clock",
        "The clock runs backwards on Sundays. Grandmother gets younger each week.",
        faults="video-url-late=1 download-cut=1 video-url-expires=after-1",
        met="video late, cut off; URL expired",
        aspect_ratio="4:3",
    ),
    Wish(
        "Half a birthday cake",
        "Somebody has eaten half of the cake. The other half is evidence.",
        faults="video-cut",
        met="video cut short",
        ends=StoryState.GIVEN_UP,
        reason="the video was refused",
    ),
    Wish(
        "Ein Brief aus Zürich",
        "A letter arrives after forty years. It was only about the weather.",
        faults="video-corrupt",
        met="video damaged",
        language="German",
        ends=StoryState.GIVEN_UP,
        reason="the video was refused",
    ),
    Wish(
        "A voyage to the moon",
        "Four friends build a rocket in a barn. The barn comes along.",
        faults="fail=the rocket could not be drawn",
        met="failed at the Story API",
        ends=StoryState.FAILED,
        reason="the rocket could not be drawn",
    ),
)
"""Between them they meet each fault that a story can survive or must be ended by."""
