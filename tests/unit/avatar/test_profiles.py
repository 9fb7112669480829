"""Pacing profiles are files, and what is wrong with one is named."""

from pathlib import Path

import pytest

from services.avatar.profiles import COMMITTED, ProfileError, load_profile
from services.avatar.settings import AvatarSettings
from services.runtime.settings.environment import SettingsError, load

GOOD = COMMITTED.read_text(encoding="utf-8").partition("[conservative]")[2]


def write(folder: Path, text: str) -> str:
    path = folder / "profile.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", ["zego", "engine", "conservative"])
def test_committed_profiles_are_sound(name: str) -> None:
    assert load_profile(name).max_unplayed_s <= 0.6


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    assert load_profile(write(tmp_path, f"[mine]{GOOD}")) == load_profile("conservative")


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (
            f"[mine]{GOOD}".replace("rate = 1.0", "rate = 0.5").replace("0.25", "nan")
            + "speed = 2",
            ["mine.rate: ", "mine.start_delay_s: ", "mine.speed: "],
        ),
        (f"[mine]{GOOD}".replace("backlog_s = 120", "backlog_s = '9'"), ["mine.backlog_s: "]),
        (f"[mine]{GOOD}".replace("progress_s = 1.0", ""), ["mine.progress_s: "]),
        (f"[mine]{GOOD}".replace("_s = 0.1", "_s = 0.9"), ["mine.packet_s: must be no more"]),
        (f"[mine]{GOOD}[other]{GOOD}", ["holds 2"]),
        ("mine = 3", ["mine: "]),
        ("[mine", ["profile.toml: "]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, faults: list[str]) -> None:
    with pytest.raises(ProfileError) as refusal:
        load_profile(write(tmp_path, text))
    for fault in faults:
        assert fault in str(refusal.value)


def test_the_settings_name_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("APP_ID", raising=False)
    monkeypatch.setenv("ENGINE_APP_ID", "1")
    monkeypatch.setenv("ENGINE_SERVER_SECRET", "x" * 32)
    assert load(AvatarSettings).pacing_profile == load_profile("engine")
    monkeypatch.setenv("AVATAR_PACING", "conservative")
    assert load(AvatarSettings).pacing_profile == load_profile("conservative")
    monkeypatch.setenv("AVATAR_PACING", "brisk")
    with pytest.raises(SettingsError, match=r"AVATAR_PACING: .*zego, engine, conservative"):
        load(AvatarSettings)
