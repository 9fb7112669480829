"""The environment that the processes of one run share."""

import secrets
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from parley.plan.listeners import (
    AVATAR,
    ENGINE,
    ENGINE_DRIVE,
    GATEWAY,
    TARGETS,
    addresses,
    reachable,
)

FILE_SUFFIX = "_FILE"
CALLBACK_SECRETS = ("CALLBACK_SECRET", "ENGINE_CALLBACK_SECRET")
_BOOL = TypeAdapter(bool)
"""Reads a setting as the processes do."""
_SECRET_BYTES = 16


def complete(environment: Mapping[str, str], *, folder: Path, replicas: int = 1) -> dict[str, str]:
    """Return the environment with the addresses and credentials that one run shares.

    Without APP_ID the engine stands in for the cloud, with credentials generated for this run. It
    puts its certificate into the `folder`, under a name that is unique on this machine, and so do
    the processes that remember signatures.
    """
    made = {"PARLEY_SERVICE_TOKEN": secrets.token_hex(_SECRET_BYTES)}
    made |= {
        name: ",".join(addresses(each, environment, replicas)) for name, each in TARGETS.items()
    }
    if _asks_for_credentials(environment):
        # Of who started it all, and stops it: without a key of its own that could not be done.
        made["GATEWAY_API_KEYS"] = secrets.token_hex(_SECRET_BYTES)
    made["AVATAR_SIGNATURES"] = str(folder / f"avatar-{AVATAR.port(environment)}.sqlite3")
    if uses_engine(environment):
        own = folder / f"engine-{ENGINE_DRIVE.port(environment)}.pem"
        certificate = environment.get("ENGINE_DRIVE_CERTIFICATE") or str(own)
        made |= {
            "AVATAR_ENGINE_URL": f"http://{ENGINE.address(environment)}",
            "ENGINE_PUBLIC_HOST": reachable(ENGINE.host(environment)).strip("[]"),
            "AVATAR_ENGINE_CERTIFICATE": certificate,
            "ENGINE_DRIVE_CERTIFICATE": certificate,
            "ENGINE_SIGNATURES": str(folder / f"engine-{ENGINE.port(environment)}.sqlite3"),
            "ENGINE_APP_ID": str(1 + secrets.randbelow(2**32 - 1)),
            "ENGINE_SERVER_SECRET": secrets.token_hex(_SECRET_BYTES),
            "ENGINE_CALLBACK_URL": f"http://{GATEWAY.address(environment)}/api/callbacks/zego",
            **_callback_secrets(environment),
            "ENGINE_VOICE_URL": f"http://{GATEWAY.address(environment)}/api/v1",
        }
        if keys := environment.get("GATEWAY_API_KEYS") or made.get("GATEWAY_API_KEYS"):
            made["ENGINE_VOICE_KEY"] = keys.partition(",")[0].strip()
    given = {name: value for name, value in environment.items() if value}
    wanted = {name: value for name, value in made.items() if not _is_given(name, given)}
    return wanted | given


def _asks_for_credentials(environment: Mapping[str, str]) -> bool:
    """Whether the gateway lets nobody in without credentials, of which it need not hold any."""
    try:
        is_required = _BOOL.validate_python(environment.get("GATEWAY_REQUIRE_CREDENTIALS") or False)
    except ValidationError:
        # The gateway says itself what is wrong with it.
        is_required = False
    return is_required or bool(environment.get("GATEWAY_JWKS"))


def _callback_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The secrets that sign and verify the engine's callbacks: given for either, or generated."""
    for suffix in ("", FILE_SUFFIX):
        for name in CALLBACK_SECRETS:
            if value := environment.get(f"{name}{suffix}"):
                return {f"{each}{suffix}": value for each in CALLBACK_SECRETS}
    return dict.fromkeys(CALLBACK_SECRETS, secrets.token_hex(_SECRET_BYTES))


def _is_given(name: str, environment: Mapping[str, str]) -> bool:
    own_name = name.removesuffix(FILE_SUFFIX)
    return any(environment.get(each) for each in (own_name, f"{own_name}{FILE_SUFFIX}"))


def uses_engine(environment: Mapping[str, str]) -> bool:
    """Whether the engine stands in for the cloud."""
    return not (environment.get("APP_ID") or environment.get("APP_ID_FILE"))
