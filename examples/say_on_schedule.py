"""Has a digital human on air say texts at their times; see `parley tasks list` for the task.

python examples/say_on_schedule.py task_… 2026-12-24T17:50 "We close in ten minutes." \\
                                          2026-12-24T18:00 "Good night, and merry Christmas."

A text whose time has passed is said at once. What users ask is answered in between.
"""

import os
import sys
import time
import uuid
from datetime import datetime

import httpx

URL = os.environ.get("PARLEY_URL", "http://127.0.0.1:8080")
KEY = {"X-Api-Key": os.environ["PARLEY_KEY"]} if "PARLEY_KEY" in os.environ else {}


def say(parley: httpx.Client, task_id: str, text: str) -> None:
    """Have a text said after what is being said; return when it was."""
    # With a request id, a repetition after a lost answer is not said twice.
    wish = {"taskId": task_id, "text": text, "priority": "NORMAL", "interruptible": False}
    wish["requestId"] = str(uuid.uuid4())
    answer = parley.post("/say", json=wish)
    if answer.is_error:
        sys.exit(f"{answer.json()['title']}: {answer.json()['detail']}")
    print(datetime.now().isoformat(timespec="seconds"), answer.json()["heard"], flush=True)


def main(task_id: str, *words: str) -> None:
    """Say each text when it is time."""
    times = [datetime.fromisoformat(each) for each in words[::2]]
    with httpx.Client(base_url=f"{URL}/api/digital-human", headers=KEY, timeout=120) as parley:
        for due, text in sorted(zip(times, words[1::2], strict=True)):
            time.sleep(max(0.0, (due - datetime.now()).total_seconds()))
            say(parley, task_id, text)


if __name__ == "__main__":
    main(*sys.argv[1:])
