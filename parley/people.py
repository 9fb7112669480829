"""`parley export` and `parley erase`: all that is kept of a user."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rich.console import Console

from parley.gateway import Gateway, GatewayError


async def export(gateway: Gateway, user_id: str, sink: TextIO) -> None:
    """Write all that is kept of a user, one JSON object per line; raises GatewayError."""
    last = ""
    async for line in gateway.export_user(user_id):
        sink.write(f"{line}\n")
        last = line
    record = json.loads(last) if last else {}
    if record.get("record") != "end":
        problem = record.get("problem", {})
        raise GatewayError(
            f"The export is not complete: {problem.get('detail', 'the connection was lost')}",
            reason=str(problem.get("reason", "")),
        )


async def export_to(gateway: Gateway, user_id: str, file: Path) -> None:
    """Write the same to a new file that only its owner may read; raises GatewayError."""
    try:
        with _new_private(file) as sink:
            await export(gateway, user_id, sink)
    except OSError as error:
        raise GatewayError(f"{file} cannot be written: {error.strerror}") from None


async def erase(gateway: Gateway, user_id: str, console: Console) -> None:
    """Remove all that is kept of a user; raises GatewayError."""
    erased = await gateway.erase_user(user_id)
    console.print(f"{erased['tasks']} tasks removed; what they cost is kept without the user.")


@contextmanager
def _new_private(file: Path) -> Iterator[TextIO]:
    """Open a new file, which is removed if the block raises: a part must not pass for the whole."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(handle, "w", encoding="utf-8") as sink:
            yield sink
    except BaseException:
        file.unlink()
        raise
