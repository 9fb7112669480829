"""The turns of a call: what is asked, and what is written of the answers."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from parley.console.captions import Captions
from parley.console.line import Line
from parley.console.view import View
from parley.gateway_client.answers import Event, GatewayError, Json, problem_error
from parley.gateway_client.gateway import Gateway

_LONGEST_TEXT = 4000
_ENDED = "TASK_ENDED"
_NOTHING_SAID = "NO_SPEECH"


@dataclass(slots=True, kw_only=True)
class _Turn:
    captions: Captions = field(default_factory=Captions)
    request_id: str = ""
    speaking: asyncio.Task[None] | None = None

    def silence(self) -> None:
        """Write no more words of it."""
        if self.speaking is not None:
            self.speaking.cancel()


class Turns:
    """All turns of one line."""

    def __init__(self, gateway: Gateway, view: View, line: Line) -> None:
        self._gateway = gateway
        self._view = view
        self._line = line
        self._turns: defaultdict[int, _Turn] = defaultdict(_Turn)
        self._answers: dict[str, asyncio.Future[None]] = {}
        """By request id: what waits for the answer."""
        self._on_screen: set[str] = set()
        """Request ids of what the user's own typing has left on the screen."""

    async def follow(self) -> None:
        """Write what happens until the call ends; raises GatewayError."""
        try:
            async for event in self._line.events():
                await self._take(event)
        except GatewayError as error:
            if error.reason != _ENDED:
                raise
        finally:
            self._silence()

    async def ask_in_turn(self, texts: AsyncIterator[str]) -> None:
        """Ask each text once the one before is answered; raises GatewayError if one is not."""
        async for text in texts:
            if text.strip():
                request_id = str(uuid.uuid4())
                answer = asyncio.get_running_loop().create_future()
                self._answers[request_id] = answer
                await self._line.send(type="text", text=text, requestId=request_id)
                await answer

    async def ask_at_once(self, texts: AsyncIterator[str]) -> None:
        """Ask each text when it is typed: it cuts off what is said, and so does an empty one."""
        async for text in texts:
            if not text.strip():
                await self._line.send(type="interrupt")
            elif len(text) > _LONGEST_TEXT:
                self._view.fail(f"Not asked: it has more than {_LONGEST_TEXT} characters.")
            else:
                request_id = str(uuid.uuid4())
                self._on_screen.add(request_id)
                await self._line.send(type="text", text=text, requestId=request_id)

    def _silence(self) -> None:
        for turn in self._turns.values():
            turn.silence()

    async def _take(self, event: Event) -> None:
        data = event.data
        match event.name:
            case "ready":
                await self._learn_name(data)
            case "turn_started":
                self._begin(data)
            case "sentence_started":
                self._turns[data["turnId"]].captions.add(data)
            case "playback_started":
                turn = self._turns[data["turnId"]]
                turn.speaking = asyncio.create_task(self._view.speak(turn.captions))
            case "turn_finished" | "turn_failed":
                self._end(data)
            case "conversation_suspended":
                # What was being said may have ended.
                self._silence()

    async def _learn_name(self, ready: Json) -> None:
        for persona in await self._gateway.personas():
            if persona["personaId"] == ready["personaId"]:
                names = persona["displayNames"]
                self._view.name(names.get(ready["lang"]) or persona.get("displayName", "Reply"))

    def _begin(self, data: Json) -> None:
        request_id = data.get("requestId", "")
        self._turns[data["turnId"]].request_id = request_id
        if data.get("transcript") and request_id not in self._on_screen:
            self._view.question(data["transcript"])

    def _end(self, data: Json) -> None:
        # One whose words were not recognized fails before it has started.
        turn = self._turns.pop(data["turnId"], None) or _Turn()
        turn.silence()
        problem = data.get("problem")
        if problem is None or data["heard"]:
            self._view.end(turn.captions, data)
        answer = self._answers.pop(turn.request_id, None)
        if problem is None:
            if answer is not None:
                answer.set_result(None)
        elif answer is not None:
            answer.set_exception(problem_error(problem))
        elif problem["reason"] != _NOTHING_SAID:
            self._view.fail(str(problem_error(problem)))
