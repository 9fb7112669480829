"""`python -m gateway`: the gateway as a process."""

from functools import partial

from gateway.settings import GatewaySettings
from services.runtime.check import settings_checked
from services.runtime.process import run


async def main() -> None:
    """Serve until the process is stopped."""
    # Half a second of imports that a check of the settings does without.
    from gateway.process import serve

    await serve()


if __name__ == "__main__":
    run("gateway", main, check=partial(settings_checked, GatewaySettings))
