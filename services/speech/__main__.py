"""`python -m services.speech`: the speech service as a process."""

from collections.abc import Sequence

from services.runtime.check import Finding
from services.runtime.process import run, spare_what_exists


async def main() -> None:
    """Serve until a signal arrives."""
    from services.speech.process import serve

    spare_what_exists()
    await serve()


async def check() -> Sequence[Finding]:
    """Check the settings, the personas and the vendors."""
    from services.speech.inspection import inspect

    return await inspect()


if __name__ == "__main__":
    run("speech", main, check=check)
