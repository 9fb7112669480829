"""`parley export` and `parley erase`: all that is kept of a user."""

import json
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


async def erase(gateway: Gateway, user_id: str, console: Console) -> None:
    """Remove all that is kept of a user; raises GatewayError."""
    erased = await gateway.erase_user(user_id)
    console.print(f"{erased['tasks']} tasks removed; what they cost is kept without the user.")
