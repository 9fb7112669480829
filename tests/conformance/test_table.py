"""That no vendor is forgotten, and that the table says what was tested."""

import pytest

from services.speech.ports.stages import Stage
from tests.conformance.subject import Subject, files_with_subjects, files_with_vendors, subjects
from tests.conformance.table import behaviours
from tools.conformance_table import PAGE, page

STAGES = tuple(Stage)


def test_every_vendor_has_a_server() -> None:
    assert sorted(files_with_vendors()) == sorted(files_with_subjects())


def test_names_differ() -> None:
    names = [(subject.stage, subject.name) for subject in subjects()]
    assert len(names) == len(set(names))


def test_what_a_vendor_goes_without_is_asked_of_the_others(subject: Subject) -> None:
    assert subject.without.keys() <= behaviours(subject.stage).keys()


@pytest.mark.parametrize("stage", Stage)
def test_every_behaviour_says_what_it_means(stage: Stage) -> None:
    assert all(meaning.endswith(".") for meaning in behaviours(stage).values())


def test_table_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"
