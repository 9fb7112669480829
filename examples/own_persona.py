"""Talks with a persona of your own, and shows the events of a turn as they happen.

SPEECH_PERSONAS=examples/personas SPEECH_DEFAULT_PERSONA=baker make up      in one terminal
python examples/own_persona.py baker                                        in another
"""

import json
import os
import secrets
import sys

import httpx

URL = os.environ.get("PARLEY_URL", "http://127.0.0.1:8080")
KEY = {"X-Api-Key": os.environ["PARLEY_KEY"]} if "PARLEY_KEY" in os.environ else {}


def ask(parley: httpx.Client, task: dict[str, str], text: str) -> None:
    """Ask, and print what is said when it is said."""
    with parley.stream(
        "POST",
        "/api/digital-human/talk-to-ai",
        json={**task, "text": text},
        headers={"Accept": "text/event-stream"},
    ) as events:
        name = ""
        for line in events.iter_lines():
            kind, _, value = line.partition(": ")
            if kind == "event":
                name = value
            elif kind == "data":
                show(name, json.loads(value))


def show(name: str, data: dict[str, object]) -> None:
    """Print what is worth it; a newer gateway may send events that nobody here knows."""
    match name:
        case "turn_started":
            print("You:  ", data["transcript"])
        case "sentence_started":
            print("Reply:", data["text"])
        case "turn_finished":
            print("Heard:", data["heard"])
        case "turn_failed" | "problem":
            sys.exit(f"Failed: {data}")


def main(persona_id: str) -> None:
    """Hold a call with a persona, and ask it the question that it answers well."""
    with httpx.Client(base_url=URL, headers=KEY, timeout=120) as parley:
        personas = parley.get("/api/config").raise_for_status().json()["personas"]
        persona = next((each for each in personas if each["personaId"] == persona_id), None)
        if persona is None:
            sys.exit(f"There are only {', '.join(each['personaId'] for each in personas)}.")
        name = secrets.token_hex(8)
        order = {"roomId": name, "streamId": name, "personaId": persona_id, "greeting": ""}
        created = parley.post("/api/digital-human/create-task", json=order)
        task = {"taskId": created.raise_for_status().json()["taskId"]}
        try:
            ask(parley, task, persona["sampleQuestions"][persona["languages"][0]])
        finally:
            parley.post("/api/digital-human/stop-task", json=task).raise_for_status()


if __name__ == "__main__":
    main(sys.argv[1])
