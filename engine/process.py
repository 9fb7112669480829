"""The engine as a process, until SIGTERM or SIGINT."""

import argparse
import asyncio
import json
import signal
import sys

import structlog
import uvloop

from engine.light_start import end_start
from engine.logs import configure_logs
from engine.refusals import reason_of
from engine.settings import EngineSettings, SettingsError, read_settings

log = structlog.get_logger()

REMEDY = "Correct it in .env or the environment."


async def serve(settings: EngineSettings) -> None:
    """Serve until the first signal; a second one exits immediately."""
    # Half a second of imports that a check of the settings does without.
    from engine.app import running
    from engine.workers.front import fronting

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(name)
        stopped.set()

    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop)
    opening = fronting(settings) if settings.workers > 1 else running(settings)
    async with opening as engine:
        end_start()
        log.info("engine ready", base_url=engine.base_url, drive_port=engine.drive_port)
        await stopped.wait()
        log.info("engine stopping")


def print_problems() -> None:
    """Print each invalid setting, in the form that all Parley processes use."""
    try:
        read_settings()
    except SettingsError as error:
        for line in str(error).splitlines():
            name, _, rule = line.partition(": ")
            finding = {"subject": name, "verdict": "problem", "found": rule, "remedy": REMEDY}
            print(json.dumps(finding))


def main() -> None:
    """Read the settings and serve; exits with 2 if they are invalid, 1 if the system refuses.

    With `--check` it only reports what is wrong with them, one JSON object per line.
    """
    parser = argparse.ArgumentParser(
        "engine", description="Runs until a signal. All settings are in the environment."
    )
    parser.add_argument("--check", action="store_true", help="say what is wrong with the settings")
    if parser.parse_args().check:
        print_problems()
        return
    try:
        settings = read_settings()
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    configure_logs(settings)
    refusal = ""
    try:
        uvloop.run(serve(settings))
    except* OSError as group:  # such as a port in use, or a folder that cannot be written
        refusal = reason_of(group)
    if refusal:
        print(f"engine: {refusal}", file=sys.stderr)
        sys.exit(1)
