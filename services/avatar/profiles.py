"""Pacing profiles as data: the service's own by name, others by the path of a file."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from services.avatar.pacing import PacingProfile

COMMITTED = Path(__file__).with_name("pacing_profiles.toml")

_CHECKED = TypeAdapter(PacingProfile)


class ProfileError(ValueError):
    """There is no such profile, or it is invalid; the message names each field and its rule."""


def load_profile(name_or_path: str) -> PacingProfile:
    """Return a built-in profile by its name, or the one in a file; raises ProfileError."""
    committed = _read(COMMITTED)
    if name_or_path in committed:
        return _check(name_or_path, committed[name_or_path])
    path = Path(name_or_path)
    if not path.is_file():
        raise ProfileError(
            f"{name_or_path} is neither one of {', '.join(committed)} nor a file with a profile"
        )
    tables = _read(path)
    if len(tables) != 1:
        raise ProfileError(f"{path} must hold one table with a profile, and holds {len(tables)}")
    [(name, table)] = tables.items()
    return _check(name, table)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"cannot read {path}") from error
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{path}: {error}") from None


def _check(name: str, table: Any) -> PacingProfile:
    try:
        profile = _CHECKED.validate_python(table)
    except ValidationError as error:
        faults = [
            f"{'.'.join((name, *map(str, each['loc'])))}: {each['msg']}" for each in error.errors()
        ]
        raise ProfileError("; ".join(faults)) from None
    if profile.packet_s > profile.max_unplayed_s:
        raise ProfileError(f"{name}.packet_s: must be no more than max_unplayed_s")
    return profile
