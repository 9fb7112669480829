"""A process's probe finds it ready, with TLS by the certificate that the process itself has."""

import asyncio
import sys
from pathlib import Path

from services.runtime.security.identities import Identity, tls_variables
from services.runtime.security.tls import Tls
from services.runtime.serving.server import ServingOptions, serving
from tests.support.authority import Authority


async def probed(*words: str, **environment: str) -> int:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "parley.readiness", *words), env=environment
    )
    return await process.wait()


async def test_the_probe_of_a_process_shows_its_certificate(tmp_path: Path) -> None:
    files = Authority(tmp_path).issue(Identity.TASK.dns_name)
    names = tls_variables(Identity.TASK)
    paths = (files.certificate, files.key, files.authorities)
    variables = dict(zip(names, map(str, paths), strict=True))
    options = ServingOptions(host="127.0.0.1", port=0, tls=Tls(files, Identity.TASK))
    async with serving(options, []) as up:
        port = up.address.rpartition(":")[2]
        # As in a container, which listens at all addresses.
        assert await probed("task", TASK_HOST="0.0.0.0", TASK_PORT=port, **variables) == 0


async def test_the_probe_of_a_process_without_tls_needs_its_address_alone() -> None:
    async with serving(ServingOptions(host="127.0.0.1", port=0), []) as up:
        port = up.address.rpartition(":")[2]
        for words in (["task"], [up.address]):
            assert await probed(*words, TASK_PORT=port) == 0
