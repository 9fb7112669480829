"""All processes with the small real models, for tests that each leave them as they found them."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from tests.support.collector import Collector
from tests.support.origins import FRAMED, SITE
from tests.support.stack import Stack, running_stack


def whole_stack(
    *,
    collector: Collector,
    personas: Path,
    journal: Mapping[str, str],
    is_unfaithful: bool = False,
    has_tls: bool = True,
) -> AbstractAsyncContextManager[Stack]:
    """Run them until the block is left; a test that kills a process runs a stack of its own."""
    traced = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    env = {name: traced for name in ("gateway", "task", "speech", "avatar")}
    # What is asked of nobody in particular is answered by who says little.
    own = {"SPEECH_PERSONAS": str(personas), "SPEECH_DEFAULT_PERSONA": "terse"}
    env["speech"] = traced | own
    env["task"] = traced | dict(journal)
    env["gateway"] = traced | {"GATEWAY_ALLOWED_ORIGINS": f"{SITE},{FRAMED}"}
    return running_stack(env=env, is_unfaithful=is_unfaithful, has_tls=has_tls)
