"""Asks a digital human a question, and prints what was heard of the answer.

python examples/ask.py "When do you open?"        PARLEY_URL, PARLEY_KEY: another gateway than here
"""

import os
import secrets
import sys

import httpx

url = os.environ.get("PARLEY_URL", "http://127.0.0.1:8080")
key = {"X-Api-Key": os.environ["PARLEY_KEY"]} if "PARLEY_KEY" in os.environ else {}
name = secrets.token_hex(8)
with httpx.Client(base_url=f"{url}/api/digital-human", headers=key, timeout=120) as parley:
    order = {"roomId": name, "streamId": name, "greeting": ""}
    task = {"taskId": parley.post("/create-task", json=order).raise_for_status().json()["taskId"]}
    answer = parley.post("/talk-to-ai", json={**task, "text": sys.argv[1]})
    parley.post("/stop-task", json=task).raise_for_status()
    print(answer.raise_for_status().json()["heard"])
