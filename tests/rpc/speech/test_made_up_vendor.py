"""A vendor is one new file: the recipe of docs/providers.md.

The recipe is followed in a copy of the services, and the copy is asked what it makes of it.
"""

import asyncio
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.vendor import Answer, scripted_vendor

ROOT = Path(__file__).parents[3]
READ_SETTINGS = """
import asyncio
from services.runtime.check import settings_checked, tell
from services.speech.settings import SpeechSettings
asyncio.run(tell(lambda: settings_checked(SpeechSettings)))
"""
BLOCKS = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The services with the recipe's vendor."""
    shutil.copytree(
        ROOT / "services",
        tmp_path / "services",
        ignore=shutil.ignore_patterns("assets", "__pycache__"),
    )
    for name in ("services/speech/assets", "personas", "models.toml", "gen"):
        (tmp_path / name).symlink_to(ROOT / name)
    recipe = (ROOT / "docs/providers.md").read_text(encoding="utf-8")
    [file] = (block for block in BLOCKS.findall(recipe) if "\nVENDOR = " in block)
    (tmp_path / "services/speech/vendors/parrot_speech.py").write_text(file, encoding="utf-8")
    return tmp_path


async def found(folder: Path, *command: str, **settings: str) -> dict[str, dict[str, Any]]:
    """What a check finds in a copy, by subject."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *command),
        cwd=folder,
        env=os.environ
        | {"PYTHONPATH": f"{folder}:{folder / 'gen'}", "PARLEY_LLM": "none"}
        | settings,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    findings = [json.loads(line) for line in output.decode().splitlines()]
    return {each["subject"]: each for each in findings}


async def speaking(answer: Answer) -> None:
    await answer.whole(200, "audio/pcm", b"\1\0" * 16_000)


async def refusing(answer: Answer) -> None:
    await answer.whole(401, "application/json", b"{}")


async def test_the_recipe_s_vendor_is_chosen_asked_and_refused_where_it_does_not_serve(
    copy: Path,
) -> None:
    async with scripted_vendor(speaking) as first, scripted_vendor(refusing) as fallback:
        checked = await found(
            copy,
            *("-m", "services.speech", "--check"),
            SPEECH_SYNTHESIZER="parrot",
            SPEECH_SYNTHESIZER_BASE_URL=first.base_url,
            SPEECH_SYNTHESIZER_API_KEY="key-of-parrot",
            SPEECH_SYNTHESIZER_FALLBACK="parrot",
            SPEECH_SYNTHESIZER_FALLBACK_BASE_URL=fallback.base_url,
            SPEECH_SYNTHESIZER_FALLBACK_VOICES="kea",
            SPEECH_SYNTHESIZER_FALLBACK_VOICE_PAIRS="polly=kea",
        )
    assert checked["SPEECH_SYNTHESIZER"]["verdict"] == "fine", checked
    assert checked["SPEECH_SYNTHESIZER_FALLBACK"]["verdict"] == "problem", checked
    assert "the key is not accepted" in checked["SPEECH_SYNTHESIZER_FALLBACK"]["found"]
    [asked], [asked_again] = first.requests, fallback.requests
    assert asked.path == "/v1/say"
    assert asked.headers["authorization"] == "Bearer key-of-parrot"
    said, said_again = json.loads(asked.body), json.loads(asked_again.body)
    assert said == {"model": "macaw", "voice": "polly", "text": "OK."}
    assert said_again == said | {"voice": "kea"}

    refused = await found(copy, "-c", READ_SETTINGS, SPEECH_CHAT="parrot")
    told = refused["SPEECH_CHAT"]
    assert told["verdict"] == "problem"
    assert told["found"] == "must be one of 'embedded', 'anthropic', 'openai'"
