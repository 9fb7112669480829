"""Commands that are imported when they are called: each takes only what it needs."""

from collections.abc import Iterator, Mapping
from pkgutil import resolve_name
from typing import Any

import typer
from typer.core import TyperGroup


def lazy_group(**places: str) -> type[TyperGroup]:
    """Return a group of commands by their names, from places such as `package.module:function`.

    A place has the function of a command, or a Typer application, which is a group of its own.
    """

    class LazyGroup(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            assert not attributes["commands"], "all commands of a lazy group are named as places"
            super().__init__(**attributes | {"commands": _Commands(places)})

    return LazyGroup


class _Commands(Mapping[str, Any]):
    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places

    def __getitem__(self, name: str) -> Any:
        found = resolve_name(self._places[name])
        group = typer.Typer()
        if isinstance(found, typer.Typer):
            group.add_typer(found, name=name)
        else:
            group.command(name)(found)
        return typer.main.get_group(group).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
