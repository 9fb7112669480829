"""The page about personas matches the format, and its example is a valid persona."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

from services.runtime.settings.environment import load
from services.speech.listening.rules import ListeningRules
from services.speech.personas.catalogue import load_persona
from services.speech.personas.format import LONGEST_S, FactTable, LanguageTable, PersonaTable
from services.speech.personas.tool_format import (
    ClientToolTable,
    HttpToolTable,
    McpServerTable,
    ToolsTable,
)
from services.speech.profiles.choice import choose_profiles
from services.speech.providers.checks import voice_offer
from services.speech.settings import SpeechSettings

PAGE = (Path(__file__).parents[2] / "docs" / "personas.md").read_text(encoding="utf-8")


EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_of_tools_has_all_of_their_fields() -> None:
    _, example = EXAMPLES
    tools = ToolsTable.model_validate(tomllib.loads(example)["tools"])
    names = (
        [each.name for each in tools.http],
        [each.name for each in tools.mcp],
        [each.name for each in tools.client],
    )
    assert names == (["order_state"], ["time"], ["show_product"])
    for table in (ToolsTable, HttpToolTable, McpServerTable, ClientToolTable):
        for name in table.model_fields:
            assert re.search(rf"\b{name}\b", PAGE)


def test_the_example_is_a_persona(tmp_path: Path) -> None:
    example, _ = EXAMPLES
    path = tmp_path / "baker.toml"
    path.write_text(example, encoding="utf-8")
    persona = load_persona(path, offer=voice_offer(choose_profiles(load(SpeechSettings))))
    assert [each.language_code for each in persona.languages] == ["en", "zh"]
    assert persona.listening == {"complete_silence_s": 0.4}
    assert len(persona.languages[0].knowledge) == 2


def test_every_field_is_on_the_page() -> None:
    for table in (PersonaTable, LanguageTable, FactTable):
        for name in table.model_fields.keys() - {"languages", "listening", "tools"}:
            assert f"`{name}`" in PAGE
    for voice in voice_offer(choose_profiles(load(SpeechSettings))).voices:
        assert f"`{voice.voice_id}`" in PAGE


def test_every_threshold_is_on_the_page_with_its_default() -> None:
    documented = dict(
        re.findall(r"^\| `(\w+_(?:s|probability))` \| ([\d.]+) \|", PAGE, re.MULTILINE)
    )
    assert {name: float(value) for name, value in documented.items()} == {
        each.name: each.default for each in fields(ListeningRules)
    }
    assert f"0 to {LONGEST_S:g}" in PAGE
