"""What a file of providers says, and what is told of its faults."""

from pathlib import Path

import pytest

from services.runtime.settings.environment import SettingsError, load
from services.speech.embedded.library import LanguageModel, LibrarySettings
from services.speech.personas.catalogue import load_persona
from services.speech.personas.format import PersonaError
from services.speech.profiles.choice import choose_profiles
from services.speech.profiles.file import read_providers_file
from services.speech.profiles.profile import Profiles
from services.speech.provider_settings import Price, SynthesizerVendorSettings, VendorSettings
from services.speech.providers.checks import check_profiles, voice_offer
from services.speech.settings import SpeechSettings
from services.speech.vendors.openai_chat import OpenAiChatSettings
from services.speech.vendors.registry import CHAT, deadlines_of

SECRET = "sk-nobody-may-read-this"
GOOD = """
default_profile = "shop"

[recognizers.ears]
kind = "openai"
base_url = "http://ears.example/v1"
model = "whisper-1"
price = { per_audio_minute = 0.006, currency = "EUR" }

[chats.brain]
kind = "openai"
base_url = "http://brain.example/v1"
api_key_file = "brain.key"
max_tokens = 120
first_answer_s = 3
price = { per_million_input_tokens = 0.15, per_million_output_tokens = 0.6 }

[chats.spare]
kind = "openai"
base_url = "http://spare.example/v1"
api_key_variable = "SPARE_KEY"

[synthesizers.mouth]
kind = "openai"
base_url = "http://mouth.example/v1"
voices = ["anna", "bert"]

[profiles.shop]
recognizer = "ears"
chat = ["brain", "spare", "embedded"]
synthesizer = ["mouth", "embedded"]
chat_first_byte_s = 2.5
[profiles.shop.voices.embedded]
anna = "af_heart"

[profiles.plain]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "brain.key").write_text("sk-brain\n", encoding="utf-8")
    return tmp_path / "providers.toml"


def read(path: Path, text: str, **environment: str) -> Profiles:
    path.write_text(text, encoding="utf-8")
    return read_providers_file(path, {"SPARE_KEY": "sk-spare"} | environment)


def key_of(vendor: object) -> str | None:
    assert isinstance(vendor, VendorSettings)
    return None if vendor.key is None else vendor.key.get_secret_value()


def test_a_file_names_providers_and_the_order_of_several_fallbacks(path: Path) -> None:
    profiles = read(path, GOOD)
    shop, plain = profiles.default, profiles.by_name["plain"]
    assert [each.setting for each in shop.chat.providers] == [
        "chats.brain",
        "chats.spare",
        "chats.embedded",
    ]
    brain, spare, _ = shop.chat.providers
    assert isinstance(brain, OpenAiChatSettings)
    assert (brain.name, brain.max_tokens, brain.temperature) == ("brain", 120, 0.5)
    assert (key_of(brain), key_of(spare)) == ("sk-brain", "sk-spare")
    assert deadlines_of(brain, CHAT).first_s == 3
    assert deadlines_of(brain, CHAT).next_s == CHAT.next_s
    assert brain.price == Price(per_million_input_tokens=0.15, per_million_output_tokens=0.6)
    assert shop.chat.first_byte_s == 2.5
    mouth = shop.synthesizer.first
    assert isinstance(mouth, SynthesizerVendorSettings)
    assert mouth.voice_ids == ("anna", "bert")
    assert shop.voices == {"synthesizers.embedded": {"anna": "af_heart"}}
    assert {each.kind for each in plain.providers} == {"embedded"}
    assert "sk-" not in repr(profiles)
    check_profiles(profiles, LibrarySettings(llm=LanguageModel.SMALL))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('kind = "openai"\nbase_url = "http://ears', f'kind = "{SECRET}"\nbase_url = "http://ears',
         "recognizers.ears.kind: must be one of 'embedded', "),
        ("http://ears.example/v1", SECRET, "recognizers.ears.base_url: must be like https://host"),
        ("max_tokens = 120", f'max_tokens = "{SECRET}"', "chats.brain.max_tokens: must be a whole"),
        ("max_tokens = 120", "max_token = 120",
         "chats.brain.max_token: is unknown; expected one of kind, base_url, model, api_key,"),
        ('api_key_file = "brain.key"', 'api_key_file = "no.key"',
         "chats.brain.api_key_file: cannot read the file that it names"),
        ('api_key_file = "brain.key"', f'api_key_variable = "{SECRET}"',
         "chats.brain.api_key_variable: the variable that it names is not set"),
        ('api_key_file = "brain.key"', f'api_key_file = "brain.key"\napi_key = "{SECRET}"',
         "chats.brain.api_key_file: must not be set beside api_key"),
        ('voices = ["anna", "bert"]', "voices = [1]",
         "synthesizers.mouth.voices: must be a list of texts"),
        ("per_audio_minute = 0.006", "per_minute = 0.006", "recognizers.ears.price.per_minute:"),
        ('currency = "EUR"', f'currency = "{SECRET}"', "recognizers.ears.price.currency:"),
        ('recognizer = "ears"', f'recognizer = "{SECRET}"',
         "profiles.shop.recognizer[0]: must be one of embedded, ears"),
        ('"brain", "spare"', '"brain", "brain"', "profiles.shop.chat: must name each provider"),
        ("http://spare.example/v1", "http://brain.example/v1",
         "profiles.shop.chat: chats.spare.base_url or chats.spare.model must differ from"),
        ('"mouth", "embedded"]', '"mouth"]',
         "profiles.shop.voices.embedded: must be a synthesizer that the profile names after"),
        ("chat_first_byte_s = 2.5", "chat_first_byte_s = 0",
         "profiles.shop.chat_first_byte_s: must be at least 0.1"),
        ('default_profile = "shop"', f'default_profile = "{SECRET}"',
         "default_profile: must be one of shop, plain"),
        ('default_profile = "shop"', "", "default_profile: is required, as there are several"),
        ('default_profile = "shop"', "profile = 1", "profile: is unknown; expected one of default"),
        ("[chats.spare]", "[chats.Spare]", "chats.Spare: must be up to 63 lower-case"),
        ("[profiles.plain]", f'x = {SECRET}', "must be TOML in UTF-8 (at line"),
        ('base_url = "http://spare.example/v1"\n', "",
         "chats.spare.api_key or OPENAI_API_KEY must be set"),
    ],
)  # fmt: skip
def test_a_fault_names_file_table_field_and_rule_and_shows_no_value(
    path: Path, before: str, after: str, told: str
) -> None:
    assert before in GOOD
    text = GOOD.replace(before, after, 1)
    if "OPENAI_API_KEY" in told:
        text = text.replace('api_key_variable = "SPARE_KEY"\n', "")
    with pytest.raises(SettingsError) as refusal:
        read(path, text)
    assert any(line.startswith(f"{path}: {told}") for line in str(refusal.value).splitlines()), (
        refusal.value
    )
    assert SECRET not in str(refusal.value)


def test_the_key_that_vendors_share_is_found_in_the_environment(path: Path) -> None:
    text = '[chats.a]\nkind = "openai"\n[profiles.p]\nchat = "a"\n'
    assert key_of(read(path, text, OPENAI_API_KEY="sk-all").default.chat.first) == "sk-all"
    path.with_name("all.key").write_text("sk-filed", encoding="utf-8")
    filed = read(path, text, OPENAI_API_KEY_FILE=str(path.with_name("all.key")))
    assert key_of(filed.default.chat.first) == "sk-filed"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('anna = "af_heart"', 'anna = "nobody"', "profiles.shop.voices.embedded: there is no"),
        ('anna = "af_heart"', 'otto = "af_heart"', "there is no voice otto"),
        ("per_audio_minute = 0.006", "per_million_characters = 1",
         "recognizers.ears.price: per_million_characters is not counted; expected"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_told(path: Path, before: str, after: str, told: str) -> None:
    profiles = read(path, GOOD.replace(before, after))
    with pytest.raises(SettingsError, match=told):
        check_profiles(profiles, LibrarySettings(llm=LanguageModel.SMALL))


def test_a_fallback_of_a_model_that_there_is_none_of_is_told(path: Path) -> None:
    with pytest.raises(SettingsError, match="PARLEY_LLM is none"):
        check_profiles(read(path, GOOD), LibrarySettings(llm=LanguageModel.NONE))


@pytest.mark.parametrize(
    "given", [{"SPEECH_CHAT": "openai"}, {"SPEECH_CHAT_API_KEY_FILE": "/run/secrets/key"}]
)
def test_a_file_beside_variables_of_stages_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    path.write_text(GOOD, encoding="utf-8")
    monkeypatch.setenv("SPEECH_PROVIDERS", str(path))
    settings = load(SpeechSettings)
    assert choose_profiles(settings, {"SPARE_KEY": "sk-spare"}).default_name == "shop"
    [name] = given
    with pytest.raises(SettingsError, match=f"^{name}: must be unset, as {path} says"):
        choose_profiles(settings, {"SPARE_KEY": "sk-spare"} | given)


def test_a_file_that_is_named_must_be_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEECH_PROVIDERS", str(path))
    with pytest.raises(SettingsError, match=f"{path}: cannot be read"):
        choose_profiles(load(SpeechSettings))


def test_a_persona_chooses_a_profile_by_name(path: Path) -> None:
    persona = path.with_name("guest.toml")

    def write(profile: str, voice: str) -> None:
        persona.write_text(
            f'display_name = "A"\ndescription = "B"\n{profile}[languages.en]\nvoice = "{voice}"\n'
            'prompt = "C"\ngreeting = "D"\nsample_question = "E"\n',
            encoding="utf-8",
        )

    offer = voice_offer(read(path, GOOD))
    write('profile = "plain"\n', "af_heart")
    assert load_persona(persona, offer=offer).profile == "plain"
    write("", "bert")
    assert load_persona(persona, offer=offer).profile == ""
    write("", "af_heart")
    with pytest.raises(PersonaError, match="there is no voice af_heart; the synthesizer offers"):
        load_persona(persona, offer=offer)
    write('profile = "garden"\n', "bert")
    with pytest.raises(PersonaError, match=r"guest\.toml: profile: must be one of shop, plain"):
        load_persona(persona, offer=offer)
