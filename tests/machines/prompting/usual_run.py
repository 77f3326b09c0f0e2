"""A usual run: people who plan a walking tour, messages as long as people write them, all six steps.

What its requests take is counted in `test_cost_of_requests`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from machines.models.chorus import ChorusState, ContextMessage, RunStatus, StepCompleted
from machines.models.domain import Role
from machines.models.ids import MessageId, PublicKey, RunId, ThreadId
from machines.models.outputs import (
    ActionOutput,
    ExperienceOutput,
    IntentionOutput,
    ObservationOutput,
    Prior,
    SelectedPrior,
    StepEnum,
    StepOutput,
    UpdateOutput,
    YieldOutput,
)

BEGIN: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
PEOPLE: Final = {name: PublicKey(f"{name}-key") for name in ("Ines", "Marek", "Yuki")}
PROMPT: Final = (
    "Where do we meet on the first morning, and at what time? Please also say who brings the stove, "
    "since Marek asked again yesterday."
)

_SAID: Final = (
    (
        "Ines",
        "I looked at the huts again: the one at the lake has eight beds left for the weekend.",
    ),
    ("Marek", "Good. I can drive, the car takes four of us and the rucksacks if we pack lightly."),
    ("", "The lake hut is about four hours on foot from the village, with 700 metres to climb."),
    ("Yuki", "Four hours is fine for me, but could we start early? It gets hot after eleven."),
    ("Ines", "Then let us meet on 14 March at seven, at the station, under the big clock."),
    ("Marek", "Seven is early for a Saturday... but yes. Who brings the stove, by the way?"),
    (
        "",
        "So far nobody has said who brings a stove. Two gas cartridges were promised by Ines, and "
        "Yuki has a pot that holds two litres.",
    ),
    ("Yuki", "I have a small stove, but the hose leaks. I would rather not take it up there."),
    ("Ines", "My brother has one, I will ask him on Sunday and tell you on Monday."),
    ("Marek", "The forecast for the 14th is bad: snow down to 1,200 metres and a strong wind."),
    ("Yuki", "Oh no. Should we move it? I am free on every weekend until the end of April."),
    (
        "Ines",
        "I called the hut. They have beds on 2 April too, and would move our booking for free.",
    ),
    ("", "If you move to 2 April, the snow on the upper path should be gone in most years."),
    ("Marek", "2 April it is then, moved. Same place, but can we say half past six?"),
    ("Yuki", "Half past six works, there is a bus that arrives at ten past."),
    ("Ines", "Perfect. I wrote it into the calendar, and the hut has confirmed by mail."),
)
_REMEMBERED: Final = (
    (
        "Ines",
        "My brother says that we can have his stove for the whole of April, with the windshield.",
    ),
    (
        "Marek",
        "The car park behind the station is free of charge on weekends and on public holidays.",
    ),
    ("", "The path to the lake begins behind the church; the first hour goes through a wood."),
    ("Yuki", "Last year we met at the west exit and waited half an hour for each other."),
    ("Marek", "Please no more meetings at the west exit, the clock hall is easier to find."),
    ("Ines", "For breakfast there is a bakery in the station that opens at six."),
    ("Yuki", "I can carry the pot and the plates, they are light."),
    ("", "A gas cartridge of 230 grams lasts for about two days for four people."),
    ("Marek", "I forgot the map last time, so I bought a new one, 1:25,000, with the huts on it."),
    ("Ines", "The hut keeper asks us to bring our own sleeping bags, blankets are short."),
    ("Yuki", "My train would leave at 5:48, which is the first one of the day."),
    (
        "Marek",
        "Who pays for the hut? I can transfer it from the common purse, there is enough left.",
    ),
)


def said() -> tuple[ContextMessage, ...]:
    """The thread before the prompt, some messages a day."""
    return tuple(
        ContextMessage(
            message_id=MessageId(f"said-{number}"),
            role=Role.USER if name else Role.CHORUS,
            author=PEOPLE.get(name),
            content=content,
            created_at=BEGIN + timedelta(hours=number * 8),
        )
        for number, (name, content) in enumerate(_SAID)
    )


def remembered() -> tuple[Prior, ...]:
    """What the search found, best first."""
    return tuple(
        Prior(
            message_id=MessageId(f"prior-{number}"),
            thread_id=ThreadId("elsewhere"),
            content=content,
            author=PEOPLE.get(name),
            score=0.71 - number * 0.06,
            created_at=BEGIN - timedelta(days=3 * number),
        )
        for number, (name, content) in enumerate(_REMEMBERED)
    )


_OUTPUTS: Final[tuple[tuple[StepOutput, str], ...]] = (
    (
        ActionOutput(),
        "You meet at half past six on 2 April, at the station under the big clock: the day was moved "
        "from 14 March because of the weather, and the place stayed the same. As for the stove, Ines "
        "wanted to ask her brother; whether he agreed is not said in this thread.",
    ),
    (
        ExperienceOutput(
            key_insights=(
                "Ines's brother lends his stove for all of April.",
                "The clock hall was chosen since the west exit led to confusion.",
            ),
            used=(MessageId("prior-0"), MessageId("prior-4")),
        ),
        "The memory answers what was open: Ines's brother lends his stove for the whole of April, "
        "windshield included [P1]. It also confirms the place, since the group wanted no more "
        "meetings at the west exit [P5].",
    ),
    (
        IntentionOutput(
            explicit_intent="To know where and when the group meets, and who brings the stove.",
            implicit_intent="To be sure that nothing was missed after the day was moved.",
            confidence=0.9,
            selected_priors=(
                SelectedPrior(message_id=MessageId("prior-0"), why="It says whose stove it is."),
                SelectedPrior(message_id=MessageId("prior-4"), why="It confirms the clock hall."),
            ),
        ),
        "To know where and when the group meets, and who brings the stove.",
    ),
    (
        ObservationOutput(
            patterns=("Each decision was repeated once by somebody before it counted.",),
            gaps=("Nobody has said how the stove comes to the station.",),
            confidence=0.8,
        ),
        "Place, day and time agree in all messages after the move. The stove is promised, but who "
        "carries it was never settled; Ines is the likely one.",
    ),
    (
        UpdateOutput(
            reasoning="All three questions can be answered; another search would add nothing.",
            loop=False,
            confidence=0.85,
            key_insights=("Say plainly that the stove's carrier is an inference.",),
        ),
        "All three questions can be answered; another search would add nothing.",
    ),
    (YieldOutput(), "At half past six on 2 April, under the clock."),
)


def asking() -> Iterator[ChorusState]:
    """The run at each of its steps, as it asks the model."""
    priors, done = remembered(), list[StepCompleted]()
    at = BEGIN + timedelta(days=27)
    for step, (output, text) in zip(StepEnum, _OUTPUTS, strict=True):
        yield ChorusState(
            id=RunId("run-1"),
            created_at=at,
            updated_at=at,
            thread_id=ThreadId("tour"),
            message_id=MessageId("prompt"),
            answer_id=MessageId("answer"),
            requested_by=PEOPLE["Yuki"],
            prompt=PROMPT,
            query=PROMPT,
            status=RunStatus.RUNNING,
            current_step=step,
            max_iterations=3,
            max_attempts=4,
            messages=said(),
            priors=() if step is StepEnum.ACTION else priors,
            steps=tuple(done),
        )
        done.append(
            StepCompleted(
                run_id=RunId("run-1"),
                step=step,
                iteration=1,
                attempt=1,
                at=at,
                text=text,
                output=output,
                usage=None,
                model="scripted",
            )
        )
