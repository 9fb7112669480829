"""Holds one call in two languages: each question is answered in its own.

python examples/two_languages.py                     with a persona that speaks English and Chinese
"""

import os
import secrets
import sys

import httpx

URL = os.environ.get("PARLEY_URL", "http://127.0.0.1:8080")
KEY = {"X-Api-Key": os.environ["PARLEY_KEY"]} if "PARLEY_KEY" in os.environ else {}


def main(questions: list[str]) -> None:
    """Ask each question; print in which language it was answered, and how."""
    name = secrets.token_hex(8)
    # `auto`: the words tell the language. With a code such as `zh`, all of the call is in Chinese.
    order = {"roomId": name, "streamId": name, "lang": "auto", "greeting": ""}
    with httpx.Client(base_url=f"{URL}/api/digital-human", headers=KEY, timeout=120) as parley:
        created = parley.post("/create-task", json=order).raise_for_status().json()
        task = {"taskId": created["taskId"]}
        try:
            for question in questions:
                answer = parley.post("/talk-to-ai", json={**task, "text": question})
                print(question, "->", answer.raise_for_status().json()["heard"])
            record = parley.get(f"/tasks/{task['taskId']}/conversation").raise_for_status().json()
            print("languages:", *(turn["lang"] for turn in record["turns"]))
        finally:
            parley.post("/stop-task", json=task).raise_for_status()


if __name__ == "__main__":
    main(sys.argv[1:] or ["When do you open?", "你们几点开门？"])
