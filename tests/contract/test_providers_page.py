"""The page on providers is current, its example works, and the command lists the same."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from services.speech import provider_list
from services.speech.embedded.library import LanguageModel, LibrarySettings
from services.speech.profiles.file import read_providers_file
from services.speech.profiles.listing import all_kinds
from services.speech.providers.checks import check_profiles, voice_offer
from services.speech.vendors.registry import CHATS, RECOGNIZERS, SYNTHESIZERS
from tools.providers_page import PAGE, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"


def test_the_example_of_a_file_is_accepted(tmp_path: Path) -> None:
    [example] = re.findall(r"^```toml\n(.*?)^```$", page(), re.MULTILINE | re.DOTALL)
    path = tmp_path / "providers.toml"
    path.write_text(example, encoding="utf-8")
    (tmp_path / "deepseek.key").write_text("sk-example", encoding="utf-8")
    profiles = read_providers_file(path, {"OPENAI_API_KEY": "sk-example"})
    check_profiles(profiles, LibrarySettings(llm=LanguageModel.SMALL))
    assert set(voice_offer(profiles).by_profile) == set(tomllib.loads(example)["profiles"])


def test_every_kind_and_setting_is_described() -> None:
    kinds = {stage.stage: {kind.kind: kind for kind in stage.kinds} for stage in all_kinds()}
    assert kinds["recognizer"].keys() == {"embedded", *RECOGNIZERS}
    assert kinds["chat"].keys() == {"embedded", *CHATS}
    assert kinds["synthesizer"].keys() == {"embedded", *SYNTHESIZERS}
    for kind in (kind for by_kind in kinds.values() for kind in by_kind.values()):
        assert kind.description
        assert all(each.description for each in kind.settings), kind


def test_the_command_lists_the_same_as_text_and_as_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["provider_list"])
    provider_list.main()
    text = capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["provider_list", "--json"])
    provider_list.main()
    listed = json.loads(capsys.readouterr().out)
    assert [stage["stage"] for stage in listed] == ["recognizer", "chat", "synthesizer"]
    for stage in listed:
        for kind in stage["kinds"]:
            assert f"  {kind['kind']}: " in text
            assert all(f"    {each['name']}" in text for each in kind["settings"])
    [key] = (
        each
        for each in listed[1]["kinds"][1]["settings"]
        if each["variable"] == "SPEECH_CHAT_API_KEY"
    )
    assert key["is_secret"]
    assert key["default"] == ""
