"""A provider that is chosen needs its key, which goes to nobody else."""

import pytest

from services.runtime.settings.environment import SettingsError, load
from services.speech.provider_settings import EMBEDDED
from services.speech.settings import SpeechSettings


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for stage in ("RECOGNIZER", "CHAT", "SYNTHESIZER"):
        for name in ("", "_BASE_URL", "_API_KEY", "_MODEL"):
            monkeypatch.delenv(f"SPEECH_{stage}{name}", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def test_the_embedded_providers_need_nothing() -> None:
    settings = load(SpeechSettings)
    assert settings.recognizer.first.kind == EMBEDDED
    assert settings.chat.first.kind == EMBEDDED
    assert settings.synthesizer.first.kind == EMBEDDED
    assert settings.vendors == ()
    assert settings.personas_folder.is_dir()


@pytest.mark.parametrize("stage", ["RECOGNIZER", "CHAT", "SYNTHESIZER"])
def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    monkeypatch.setenv(f"SPEECH_{stage}", "openai")
    with pytest.raises(SettingsError, match=f"SPEECH_{stage}_API_KEY or OPENAI_API_KEY"):
        load(SpeechSettings)


def test_a_wrong_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEECH_CHAT", "openai")
    monkeypatch.setenv("SPEECH_CHAT_BASE_URL", "localhost:8000/v1")
    with pytest.raises(SettingsError, match="SPEECH_CHAT_BASE_URL"):
        load(SpeechSettings)


def test_an_unknown_provider_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEECH_CHAT", "sphinx")
    with pytest.raises(SettingsError, match="SPEECH_CHAT"):
        load(SpeechSettings)


def test_the_shared_key_goes_to_its_owner_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-shared")
    for stage in ("RECOGNIZER", "CHAT", "SYNTHESIZER"):
        monkeypatch.setenv(f"SPEECH_{stage}", "openai")
    monkeypatch.setenv("SPEECH_CHAT_BASE_URL", "http://127.0.0.1:8000/v1")
    monkeypatch.setenv("SPEECH_SYNTHESIZER_API_KEY", "sk-own")
    settings = load(SpeechSettings)
    keys = [vendor.key for vendor in settings.vendors]
    assert [key and key.get_secret_value() for key in keys] == ["sk-shared", None, "sk-own"]
    assert "sk-" not in repr(settings)


def test_all_faults_of_fallbacks_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEECH_RECOGNIZER_FALLBACK", "openai")
    monkeypatch.setenv("SPEECH_CHAT_FALLBACK", "embedded")
    for name in ("", "_FALLBACK"):
        monkeypatch.setenv(f"SPEECH_SYNTHESIZER{name}", "openai")
        monkeypatch.setenv(f"SPEECH_SYNTHESIZER{name}_BASE_URL", "http://127.0.0.1:8000/v1")
    monkeypatch.setenv("SPEECH_SYNTHESIZER_FALLBACK_VOICE_PAIRS", "anna=carla,bert")
    with pytest.raises(SettingsError) as refusal:
        load(SpeechSettings)
    for fault in (
        "SPEECH_RECOGNIZER_FALLBACK_API_KEY or OPENAI_API_KEY must be set",
        "SPEECH_CHAT_FALLBACK must be another provider",
        "SPEECH_SYNTHESIZER_FALLBACK_BASE_URL or SPEECH_SYNTHESIZER_FALLBACK_MODEL must differ",
        "SPEECH_SYNTHESIZER_FALLBACK_VOICE_PAIRS must be like",
    ):
        assert fault in str(refusal.value)
