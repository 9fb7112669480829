"""`python -m services.task`: the task service as a process."""

from collections.abc import Sequence

from services.runtime.check import Finding, settings_checked
from services.runtime.process import run, spare_what_exists


async def main() -> None:
    """Serve until a signal arrives."""
    from services.task.process import serve

    spare_what_exists()
    await serve()


async def check() -> Sequence[Finding]:
    """Check the settings, without loading what serves."""
    from services.task.settings import TaskSettings

    return await settings_checked(TaskSettings)


if __name__ == "__main__":
    run("task", main, check=check)
