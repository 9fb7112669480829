"""Lets the model have this program show an order: a function that one call declares.

The language model has to be able to call tools; the embedded one is not.
SPEECH_CHAT=openai OPENAI_API_KEY=… make up          in one terminal
python examples/app_function.py "Show me order 4729, please."      in another
"""

import json
import os
import secrets
import sys
from collections.abc import Iterator
from typing import Any

import httpx

URL = os.environ.get("PARLEY_URL", "http://127.0.0.1:8080")
KEY = {"X-Api-Key": os.environ["PARLEY_KEY"]} if "PARLEY_KEY" in os.environ else {}
NUMBER = {"type": "object", "required": ["number"], "properties": {"number": {"type": "string"}}}
SHOW_ORDER = {
    "name": "show_order",
    "description": "Shows an order on the user's screen. Ask for its number first.",
    "parameters": NUMBER,
}


def show_order(number: str) -> str:
    """Show an order, and return what the model is told. Parley has checked the arguments."""
    print(f"[order {number} is on the screen]")
    return "It is shown, and out for delivery."


def events_of(response: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the events of a turn as they happen."""
    name = ""
    for line in response.iter_lines():
        kind, _, value = line.partition(": ")
        name = value if kind == "event" else name
        if kind == "data":
            yield name, json.loads(value)


def ask(parley: httpx.Client, task: dict[str, str], question: str) -> None:
    """Ask, do what the model asks for meanwhile, and print what was heard of the answer."""
    body, wish = {**task, "text": question}, {"Accept": "text/event-stream"}
    with parley.stream("POST", "/talk-to-ai", json=body, headers=wish) as response:
        for name, data in events_of(response):
            if name == "tool_called" and data["name"] == "show_order":
                result = show_order(**json.loads(data["arguments"]))
                answer = {**task, "callId": data["callId"], "result": result}
                parley.post("/tool-result", json=answer).raise_for_status()
            elif name == "turn_finished":
                print(data["heard"])
            elif name in ("turn_failed", "problem"):
                sys.exit(f"Failed: {data}")


def main(question: str) -> None:
    """Ask in a call of its own."""
    name = secrets.token_hex(8)
    order = {"roomId": name, "streamId": name, "greeting": "", "clientTools": [SHOW_ORDER]}
    with httpx.Client(base_url=f"{URL}/api/digital-human", headers=KEY, timeout=120) as parley:
        created = parley.post("/create-task", json=order).raise_for_status().json()
        task = {"taskId": created["taskId"]}
        try:
            ask(parley, task, question)
        finally:
            parley.post("/stop-task", json=task).raise_for_status()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except httpx.HTTPStatusError as refusal:
        sys.exit(f"Parley refuses: {refusal.response.json()['detail']}")
    except httpx.HTTPError as error:
        sys.exit(f"Parley at {URL} does not answer: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
