"""Replays a call that was recorded: prints who said what when, and makes it a WAV to listen to.

python examples/replay.py task_… call.wav            `parley tasks list --all` lists the tasks

The record has words and times, but no sound: each side is spoken again, the digital human as far as
it was heard.
"""

import os
import sys
import wave
from datetime import datetime

import httpx

URL = os.environ.get("PARLEY_URL", "http://127.0.0.1:8080")
KEY = {"X-Api-Key": os.environ["PARLEY_KEY"]} if "PARLEY_KEY" in os.environ else {}
RATE = 24_000
PAUSE = bytes(RATE)  # Half a second of 16-bit samples.


def voices_of(parley: httpx.Client, language: str) -> tuple[str, str]:
    """Return two voices for a language, the user's and the digital human's, perhaps the same."""
    voices = parley.get("/api/v1/audio/voices").raise_for_status().json()["voices"]
    fitting = [
        voice["id"]
        for voice in voices
        if any(each.partition("-")[0] == language.partition("-")[0] for each in voice["languages"])
    ]
    return fitting[-1], fitting[0]


def speak(parley: httpx.Client, text: str, voice: str) -> bytes:
    """Return the sound of a text."""
    wish = {"input": text, "voice": voice}
    return parley.post("/api/v1/audio/speech", json=wish).raise_for_status().content


def main(task_id: str, path: str) -> None:
    """Print a call, and write what it sounded like."""
    with (
        httpx.Client(base_url=URL, headers=KEY, timeout=120) as parley,
        wave.open(path, "wb") as wav,
    ):
        wav.setparams((1, 2, RATE, 0, "NONE", ""))
        record = parley.get(f"/api/digital-human/tasks/{task_id}/conversation")
        turns = record.raise_for_status().json()["turns"]
        times = [datetime.fromisoformat(turn["startTime"]) for turn in turns]
        for time, turn in zip(times, turns, strict=True):
            after_s = (time - times[0]).total_seconds()
            users, own = voices_of(parley, turn["lang"])
            sides = (("user", "transcript", users), ("digital human", "heard", own))
            for who, member, voice in sides:
                if text := turn.get(member):
                    print(f"{after_s:6.1f} s  {who}: {text}")
                    wav.writeframes(speak(parley, text, voice) + PAUSE)
            if turn["interrupted"]:
                print(f"{'':10}(cut off; the whole reply was: {turn['reply']})")


if __name__ == "__main__":
    main(*sys.argv[1:])
