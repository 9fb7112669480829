"""`parley keys` makes, lists and revokes the keys of a tenant at a running task service."""

import asyncio
import hashlib
import os
import sys

import grpc
import pytest

from digitalhuman.access.v1 import access_pb2 as pb
from digitalhuman.access.v1.access_pb2_grpc import AccessServiceStub
from parley.plan.paths import ROOT
from services.runtime.channels.channel import connected
from tests.support.task import task_service

TOKEN = "a-token-of-the-services-0123456789"


WHOLE = ("-m", "parley", "keys")
CLIENT = ("-m", "services.task.keys")
"""What the whole command starts: for what is not decided before."""
IN_A_CONTAINER = (
    "-c",
    "from pathlib import Path; from parley.plan import paths; paths.VAR = Path('/dev/null/var');"
    " from parley.__main__ import app; app()",
    "keys",
)
"""Where Parley's own folder cannot be written."""


async def keys(address: str, *words: str, command: tuple[str, ...] = WHOLE) -> tuple[int, str, str]:
    """Return the exit code of the command and what it wrote."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "gen"))),
        "GATEWAY_TASK_TARGET": address,
        "PARLEY_SERVICE_TOKEN": TOKEN,
        "COLUMNS": "200",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        *words,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_a_key_is_made_listed_and_revoked() -> None:
    async with task_service(service_token=TOKEN) as address, connected(address) as channel:
        access = AccessServiceStub(channel)

        async def holder(secret: str) -> pb.Principal:
            digest = hashlib.sha256(secret.encode()).digest()
            found = await access.Authenticate(
                pb.AuthenticateRequest(digest=digest),
                metadata=(("authorization", f"Bearer {TOKEN}"),),
            )
            return found.principal

        code, secret, told = await keys(address, "create", "shop", "--tenant", "acme")
        assert (code, secret.count("\n")) == (0, 1)
        assert secret.strip() not in told
        found = await holder(secret.strip())
        assert (found.tenant_id, found.name, found.role) == ("acme", "shop", pb.ROLE_SERVER)

        _, listed, _ = await keys(address, "list", "--tenant", "acme", command=IN_A_CONTAINER)
        assert found.credential_id in listed
        assert secret.strip() not in listed
        assert (await keys(address, "list", command=CLIENT))[1] == ""

        code, _, _ = await keys(address, "revoke", found.credential_id, command=CLIENT)
        assert code == 1
        code, revoked, _ = await keys(address, "revoke", found.credential_id, "--tenant", "acme")
        assert (code, "revoked" in revoked) == (0, True)
        with pytest.raises(grpc.aio.AioRpcError):
            await holder(secret.strip())


@pytest.mark.parametrize(
    "words",
    [
        ("create", "x", "--tenant", "Not A Tenant"),
        ("revoke", "key_unknown"),
    ],
)
async def test_what_cannot_be_done_is_said(words: tuple[str, ...]) -> None:
    async with task_service(service_token=TOKEN) as address:
        code, out, told = await keys(address, *words, command=CLIENT)
    assert code != 0
    assert out == ""
    assert told
    assert "Traceback" not in told
