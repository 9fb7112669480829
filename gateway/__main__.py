"""`python -m gateway`: the gateway as a process."""

from collections.abc import Sequence

from services.runtime.check import Finding, settings_checked
from services.runtime.process import run, spare_what_exists


async def main() -> None:
    """Serve until a signal arrives."""
    from gateway.process import serve

    spare_what_exists()
    await serve()


async def check() -> Sequence[Finding]:
    """Check the settings, without loading what serves."""
    from gateway.settings import GatewaySettings

    return await settings_checked(GatewaySettings)


if __name__ == "__main__":
    run("gateway", main, check=check)
