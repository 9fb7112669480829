"""Writes into docs/providers.md what can be set for each kind, from the settings classes."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from services.speech.profiles.listing import ProviderKind, Setting, StageKinds, all_kinds

PAGE = Path(__file__).resolve().parent.parent / "docs" / "providers.md"

_BLOCK = re.compile(r"(?<=<!-- kinds: made by `make docs` -->\n).*(?=<!-- end of kinds -->)", re.S)
_HEAD = "\n| setting | default | |\n|---|---|---|\n"


def page() -> str:
    """Return the text of the page."""
    return _BLOCK.sub(lambda _: "".join(_kinds()), PAGE.read_text(encoding="utf-8"))


def _kinds() -> Iterator[str]:
    stages = all_kinds()
    yield "\nEvery vendor has these:\n"
    common = {
        each.name: each
        for stage in stages
        for kind in stage.kinds
        for each in kind.settings
        if each.is_common
    }
    yield from _table(common.values())
    for stage in stages:
        yield from _stage(stage)
    yield "\n"


def _stage(stage: StageKinds) -> Iterator[str]:
    yield f"\n### `[{stage.tables}.<name>]`, `{stage.variable}`\n"
    for kind in stage.kinds:
        yield from _kind(kind)


def _kind(kind: ProviderKind) -> Iterator[str]:
    yield f"\n**`{kind.kind}`**: {' '.join(kind.description.split())}\n"
    yield from _table([each for each in kind.settings if not each.is_common])


def _table(settings: Iterable[Setting]) -> Iterator[str]:
    rows = list(settings)
    if rows:
        yield _HEAD
    for each in rows:
        default = f"`{each.default}`" if each.default else ""
        description = each.description.replace("|", "\\|")
        yield f"| `{each.name}` | {default} | {description} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
