"""`python -m services.task.keys create|list|revoke`: the API keys of a tenant.

A client of the task service; the exit code is 0 if it did what was asked for.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from digitalhuman.access.v1 import access_pb2 as pb
from digitalhuman.access.v1.access_pb2_grpc import AccessServiceStub
from services.runtime.callers.caller import DEFAULT_TENANT, Caller, acting_for, check_tenant_id
from services.runtime.callers.requests import Metadata, outgoing_metadata
from services.runtime.channels.replicas import replicas
from services.runtime.failures.errors import ServiceError, answer_of, from_rpc_error
from services.runtime.links import LinkSettings
from services.runtime.security.identities import Identity
from services.runtime.settings.environment import SettingsError, load
from services.runtime.settings.values import Targets
from services.runtime.wire import to_duration

FAILED = 1
ROLES = {"user": pb.ROLE_USER, "server": pb.ROLE_SERVER, "operator": pb.ROLE_OPERATOR}


class KeysSettings(LinkSettings):
    """Where the task service is, and who calls it, as the gateway has it."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_")

    identity: ClassVar = Identity.GATEWAY

    task_target: Targets = Field("127.0.0.1:50051", description="host:port of the task service")


def main(words: Sequence[str]) -> int:
    """Do what the words say, and return the exit code."""
    asked = _parser().parse_args(words)
    try:
        settings = load(KeysSettings)
        with acting_for(Caller(tenant_id=asked.tenant, actor="parley keys")):
            asyncio.run(_run(asked, settings))
    except (SettingsError, ServiceError) as error:
        print(f"keys: {error}", file=sys.stderr)
        return FAILED
    return 0


async def _run(asked: argparse.Namespace, settings: KeysSettings) -> None:
    """Call the task service; raises ServiceError."""
    metadata = outgoing_metadata(settings.sent_token)
    tls = settings.tls_to(Identity.TASK)
    async with replicas(settings.task_target, AccessServiceStub, tls=tls) as accesses:
        try:
            match asked.what:
                case "create":
                    await _create(accesses.any, asked, metadata)
                case "list":
                    line = _json_line if asked.is_json else _line
                    await _list(accesses.any, metadata, line)
                case "revoke":
                    await _revoke(accesses.any, asked.key_id, metadata)
        except grpc.aio.AioRpcError as error:
            raise (answer_of(error) or from_rpc_error(error)) from error


async def _create(access: AccessServiceStub, asked: argparse.Namespace, metadata: Metadata) -> None:
    """Make a key. What it is goes to stderr, so that scripts take the secret from stdout."""
    lifetime = timedelta(days=asked.days) if asked.days else None
    made = await access.CreateApiKey(
        pb.CreateApiKeyRequest(
            name=asked.name,
            role=ROLES[asked.role],
            user_id=asked.user,
            lifetime=to_duration(lifetime.total_seconds()) if lifetime else None,
        ),
        metadata=metadata,
    )
    print(_line(made.key), file=sys.stderr)
    print("Keep the key now, it cannot be shown again:", file=sys.stderr)
    print(made.secret)


async def _list(
    access: AccessServiceStub, metadata: Metadata, line: Callable[[pb.ApiKey], str]
) -> None:
    request = pb.ListApiKeysRequest()
    while True:
        page = await access.ListApiKeys(request, metadata=metadata)
        for key in page.keys:
            print(line(key))
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


async def _revoke(access: AccessServiceStub, key_id: str, metadata: Metadata) -> None:
    request = pb.RevokeApiKeyRequest(key_id=key_id)
    print(_line((await access.RevokeApiKey(request, metadata=metadata)).key))


def _line(key: pb.ApiKey) -> str:
    """Return a key as a line: id, role, what becomes of it, name."""
    role = pb.Role.Name(key.role).removeprefix("ROLE_").lower()
    if key.HasField("revoke_time"):
        state = f"revoked {_day(key.revoke_time)}"
    elif key.HasField("expire_time"):
        state = f"until {_day(key.expire_time)}"
    else:
        state = "until revoked"
    whose = f"{role} {key.user_id}" if key.user_id else role
    shown = (text if text.isprintable() else repr(text) for text in (whose, key.name))
    return "  ".join((key.key_id, state, *shown))


def _json_line(key: pb.ApiKey) -> str:
    """Return a key as the gateway's API has it, on a line."""
    told = MessageToDict(key) | {"role": pb.Role.Name(key.role).removeprefix("ROLE_")}
    return json.dumps(told, ensure_ascii=False)


def _day(time: Timestamp) -> str:
    return datetime.fromtimestamp(time.seconds, UTC).date().isoformat()


def _tenant(text: str) -> str:
    try:
        return check_tenant_id(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.task.keys")
    commands = parser.add_subparsers(dest="what", required=True)
    create = commands.add_parser("create")
    create.add_argument("name")
    create.add_argument("--role", choices=tuple(ROLES), default="server")
    create.add_argument("--user", default="")
    create.add_argument("--days", type=int, default=0)
    revoke = commands.add_parser("revoke")
    revoke.add_argument("key_id")
    listing = commands.add_parser("list")
    listing.add_argument("--json", dest="is_json", action="store_true")
    for command in (create, revoke, listing):
        command.add_argument("--tenant", type=_tenant, default=DEFAULT_TENANT)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
