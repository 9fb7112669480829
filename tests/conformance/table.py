"""The table of behaviours and vendors: what each test asks, and of whom."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module

from services.speech.ports.stages import Stage
from tests.conformance.subject import Subject, subjects

MODULES = ("test_recognition", "test_chat", "test_synthesis", "test_trouble")
TITLES = {
    Stage.RECOGNITION: "Recognition",
    Stage.CHAT: "Language models",
    Stage.SYNTHESIS: "Speech",
}


def behaviours(stage: Stage) -> Mapping[str, str]:
    """Return the behaviours that are asked of a stage, each with what it means."""
    return {
        name.removeprefix("test_"): inspect.getdoc(test) or ""
        for module in (import_module(f"tests.conformance.{name}") for name in MODULES)
        if stage in module.STAGES
        for name, test in vars(module).items()
        if name.startswith("test_")
    }


def table() -> str:
    """Return one table for each stage, and below it why what is not offered is not."""
    return "\n".join(line for stage in Stage for line in _table(stage))


def _table(stage: Stage) -> Iterator[str]:
    tested = [subject for subject in subjects() if subject.stage is stage]
    yield f"## {TITLES[stage]}\n"
    yield _row(["", *(subject.name for subject in tested)])
    yield _row(["---", *[":-:"] * len(tested)])
    for behaviour, meaning in behaviours(stage).items():
        yield _row(
            [
                f"**{_words(behaviour)}**: {meaning}",
                *(_cell(subject, behaviour) for subject in tested),
            ]
        )
    yield ""
    for subject in tested:
        for reason in dict.fromkeys(subject.without.values()):
            missing = [each for each, why in subject.without.items() if why == reason]
            yield f"- {subject.name} without {', '.join(map(_words, missing))}: {reason}."
    yield ""


def _cell(subject: Subject, behaviour: str) -> str:
    return "–" if behaviour in subject.without else "✓"


def _words(behaviour: str) -> str:
    return behaviour.replace("_", " ")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
