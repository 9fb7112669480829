"""`python -m services.avatar`: the avatar service as a process."""

from collections.abc import Sequence

from services.runtime.check import Finding, settings_checked
from services.runtime.process import run, spare_what_exists


async def main() -> None:
    """Serve until a signal arrives."""
    from services.avatar.process import serve

    spare_what_exists()
    await serve()


async def check() -> Sequence[Finding]:
    """Check the settings, without loading what serves."""
    from services.avatar.settings import AvatarSettings

    return await settings_checked(AvatarSettings)


if __name__ == "__main__":
    run("avatar", main, check=check)
