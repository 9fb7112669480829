"""The product's manifest, its notices and its choice of models."""

import re
from pathlib import Path

import pytest

from services.speech.embedded.digest import file_sha256
from services.speech.embedded.kokoro import load_style
from services.speech.embedded.library import (
    ASSETS,
    LanguageModel,
    LibrarySettings,
    choose_language_model,
    default_models,
    usable_memory,
)
from services.speech.embedded.manifest import load_manifest
from services.speech.embedded.voices import VOICES

ROOT = Path(__file__).parents[4]


def test_every_default_model_is_in_the_manifest() -> None:
    manifest = load_manifest()
    for llm in LanguageModel:
        assert all(name in manifest.models for name in default_models(llm))


def test_every_file_is_pinned_and_has_two_sources() -> None:
    for model in load_manifest().models.values():
        for file in model.files:
            assert re.fullmatch(r"[0-9a-f]{64}", file.sha256), file.label
            assert file.url.startswith("https://"), file.label
            assert file.parts, file.label
            assert all(re.fullmatch(r"[0-9a-f]{64}", part.carrier.sha256) for part in file.parts), (
                file.label
            )


def test_an_unknown_model_is_named_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"'gpt'.*whisper-base"):
        load_manifest()["gpt"]


def test_the_notice_names_every_model_and_committed_asset() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for model in load_manifest().models:
        assert model in notice
    entries = re.findall(r"services/speech/assets/([^\s,]+)", notice)
    for path in ASSETS.rglob("*"):
        if path.is_file() and path.name != "LICENSES.md":
            assert any(path.relative_to(ASSETS).match(entry) for entry in entries), path


def test_the_committed_turn_model_is_the_published_one() -> None:
    licences = (ASSETS / "LICENSES.md").read_text(encoding="utf-8")
    assert file_sha256(ASSETS / "smart-turn-v3.2-cpu.onnx") in licences


def test_every_voice_has_its_style() -> None:
    for voice in VOICES:
        assert load_style(ASSETS / "voices" / f"{voice.voice_id}.bin").shape == (510, 256)


@pytest.mark.parametrize("llm", list(LanguageModel))
def test_the_environment_chooses_the_language_model(
    monkeypatch: pytest.MonkeyPatch, llm: LanguageModel
) -> None:
    monkeypatch.setenv("PARLEY_LLM", llm.value)
    assert choose_language_model(LibrarySettings()) is llm


def test_memory_chooses_the_language_model_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARLEY_LLM", raising=False)
    wants_good = usable_memory() >= 6 * 10**9
    chosen = choose_language_model(LibrarySettings())
    assert chosen is (LanguageModel.GOOD if wants_good else LanguageModel.SMALL)
