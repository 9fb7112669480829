"""That no vendor is forgotten, and that the table says what was tested."""

from tests.conformance.subject import files_with_subjects, files_with_vendors, subjects


def test_every_vendor_has_a_server() -> None:
    assert sorted(files_with_vendors()) == sorted(files_with_subjects())


def test_names_differ() -> None:
    names = [(subject.stage, subject.name) for subject in subjects()]
    assert len(names) == len(set(names))
