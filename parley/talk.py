"""`parley talk`: a complete call, from create-task to stop-task."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from parley.gateway_client.answers import Event, GatewayError, Json
from parley.gateway_client.command import ApiKey, Url, with_gateway
from parley.gateway_client.gateway import Gateway, Question
from parley.terminal.console import console
from parley.terminal.waterfall import waterfall


def talk(
    wav: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A recorded question.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="A written question.")] = None,
    persona: Annotated[str | None, typer.Option(help="Who replies.")] = None,
    lang: Annotated[str | None, typer.Option(help="Language, such as en or zh.")] = None,
    is_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Hold a complete call: put on air, ask, hear the reply, stop."""
    if wav is not None and text is not None:
        raise typer.BadParameter("give --wav or --text, not both")
    if text is not None and not text.strip():
        raise typer.BadParameter("give --text something to say")

    async def hold(gateway: Gateway) -> None:
        call = Call(gateway, console, is_json=is_json)
        question = Question(wav=wav, text=text, language_code=lang)
        await call.run(question, persona_id=persona, language_code=lang)

    with_gateway(url, api_key, hold)


class Call:
    """One call, shown live, or printed as one JSON object at its end."""

    def __init__(self, gateway: Gateway, console: Console, *, is_json: bool) -> None:
        self._gateway = gateway
        self._console = console
        self._is_json = is_json
        self._reply = ""

    async def run(
        self, question: Question, *, persona_id: str | None, language_code: str | None
    ) -> None:
        """Put a digital human on air, ask, show the reply, and stop, whatever happens.

        Raises GatewayError if any of it fails.
        """
        result: Json = {}
        async with AsyncExitStack() as stack:
            self._tell("Putting a digital human on air…", style="dim")
            task = await self._gateway.create_task(
                persona_id=persona_id, language_code=language_code
            )
            stack.push_async_callback(self._stop, task["taskId"])
            result = {"taskId": task["taskId"], "streamId": task.get("streamId"), "events": []}
            async for event in self._gateway.talk(task["taskId"], question):
                result["events"].append({"event": event.name} | event.data)
                result |= self._take(event)
        if "reply" not in result:
            raise GatewayError("The turn ended without a reply.")
        if self._is_json:
            self._console.out(json.dumps(result, ensure_ascii=False, indent=2), highlight=False)
        else:
            self._console.print(waterfall(result.get("timings", {})))

    async def _stop(self, task_id: str) -> None:
        # Shielded: Ctrl-C ends the call, but not its cleanup.
        await asyncio.shield(self._gateway.stop_task(task_id))
        self._tell("Stopped.", style="dim")

    def _take(self, event: Event) -> Json:
        data = event.data
        match event.name:
            case "turn_started":
                self._tell(f"[bold]You:[/bold]   {escape(data['transcript'])}")
                return {"transcript": data.get("transcript", "")}
            case "reply_updated":
                self._reply += data["delta"]
            case "sentence_started":
                # As it is written: what the voice says of it has other words and fewer marks.
                written = self._reply[data["textStart"] : data["textEnd"]]
                self._tell(f"[bold green]Reply:[/bold green] {escape(written)}")
            case "playback_started":
                self._tell("[dim]The avatar speaks.[/dim]")
            case "turn_finished":
                self._tell(f"[bold]Heard:[/bold] {escape(data['heard'])}")
                kept = ("turnId", "reply", "heard", "interrupted", "timings", "ledger")
                return {name: data[name] for name in kept if name in data}
            case "turn_failed":
                problem = data["problem"]
                raise GatewayError(
                    f"{problem['title']} ({problem['reason']}): {problem['detail']}",
                    reason=problem["reason"],
                )
        return {}

    def _tell(self, text: str, **style: Any) -> None:
        if not self._is_json:
            self._console.print(text, **style)
