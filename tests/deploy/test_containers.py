"""What containers may do is bounded, and their image has what runs and nothing else."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import time
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.settings import EngineSettings
from gateway.app import UPLOADS_AT_ONCE
from gateway.settings import GatewaySettings
from tests.support.compose import COMPOSE, ROOT, bytes_of

FILES = (COMPOSE, ROOT / "deploy" / "compose.yml")
SERVICES: dict[str, dict[str, Any]] = {
    name: service
    for file in FILES
    for name, service in yaml.safe_load(file.read_text(encoding="utf-8"))["services"].items()
}
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
IMAGE_LOCK = ROOT / "deploy" / "image.lock"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SHIPPED = ("services", "gateway", "engine", "parley")
GENERATED = {"buf", "digitalhuman", "google", "riva"}
ON_REQUEST = {"sounddevice"}
"""What `parley console` does without: a container has no microphone."""
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}( |$)")


def tmpfs_bytes(name: str) -> int:
    sizes = re.findall(r"^/tmp:size=(\w+)", "\n".join(SERVICES[name]["tmpfs"]), re.MULTILINE)
    return sum(map(bytes_of, sizes))


def pins(lock: Path) -> dict[str, str]:
    """The pins of a lock file with their conditions and hashes, by what is pinned."""
    entries = re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8").strip())
    return {each.split()[0]: each for each in entries}


def names(lock: Path) -> set[str]:
    return {each.partition("==")[0] for each in pins(lock)}


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert 0 < service["pids_limit"] <= 1024
    # Without swap: what does not fit ends, and does not slow all others down.
    assert service["memswap_limit"] == service["mem_limit"]
    assert service["tmpfs"]
    assert all(re.match(r"/\S+:size=\d+[kmg],", each) for each in service["tmpfs"])
    assert tmpfs_bytes(name) < bytes_of(service["mem_limit"])
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}


def test_certificates_that_are_not_renewed_are_noticed(tmp_path: Path) -> None:
    [_, test] = SERVICES["certificates"]["healthcheck"]["test"]
    certificate = tmp_path / "operator" / "tls.crt"

    def is_healthy() -> bool:
        command = test.replace("$$", "$").replace("/tls/", f"{tmp_path}/")
        return subprocess.run(["sh", "-c", command], check=False).returncode == 0

    assert not is_healthy()
    certificate.parent.mkdir()
    certificate.touch()
    assert is_healthy()
    nine_days_ago = time.time() - 9 * 24 * 3600
    os.utime(certificate, (nine_days_ago, nine_days_ago))
    assert not is_healthy()


def test_a_renewal_that_fails_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "parley").symlink_to("/usr/bin/false")
    renewing = shlex.split(SERVICES["certificates"]["command"])
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    assert subprocess.run(renewing, env={"PATH": path}, check=False).returncode == 1


def test_what_is_written_fits() -> None:
    uploads = UPLOADS_AT_ONCE.total * GatewaySettings.model_fields["max_upload_bytes"].default
    assert tmpfs_bytes("gateway") > uploads
    assert tmpfs_bytes("engine") > EngineSettings.model_fields["recordings_bytes"].default


def test_images_are_named_by_their_digests() -> None:
    stages = set(re.findall(r"^FROM .* AS (\w+)$", DOCKERFILE, re.MULTILINE))
    based_on = re.findall(r"^FROM (.*?)(?: AS \w+)?$", DOCKERFILE, re.MULTILINE)
    foreign = [each for each in based_on if each not in stages]
    foreign += [each["image"] for each in SERVICES.values() if "build" not in each]
    assert len(foreign) == 4
    assert all(map(DIGEST.search, foreign)), foreign


def test_the_image_has_only_what_runs() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    copied = re.findall(r"^COPY (.*)$", final, re.MULTILINE)
    assert all(each.startswith("--from=build /app/") for each in copied)
    sources = {word.removeprefix("/app/") for each in copied for word in each.split()[1:-1]}
    assert sources == {*SHIPPED, ".venv", "gen", "personas"} | {
        "LICENSE",
        "NOTICE",
        "models.toml",
        "sbom.cdx.json",
    }
    assert re.search(r"^USER parley$", final, re.MULTILINE)


def test_the_image_has_the_locked_packages_without_the_tools() -> None:
    locked, shipped = pins(ROOT / "requirements.lock"), pins(IMAGE_LOCK)
    assert {name: locked.get(name) for name in shipped} == shipped
    required = {re.split(r"[=;\[ ]", each)[0].lower() for each in PROJECT["dependencies"]}
    tools = {re.split(r"[=;\[ ]", each)[0] for each in PROJECT["optional-dependencies"]["dev"]}
    assert required <= names(IMAGE_LOCK)
    # Of the tools, what a library needs as well.
    assert tools & names(IMAGE_LOCK) <= {"PyYAML"}
    assert {"pytest", "mypy", "ruff", "pip", "setuptools"}.isdisjoint(names(IMAGE_LOCK))


def test_what_the_code_imports_is_in_the_image() -> None:
    found = packages_distributions()
    imported = {
        module.partition(".")[0]
        for folder in SHIPPED
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for module in _modules(node)
    }
    foreign = imported - sys.stdlib_module_names - set(SHIPPED) - GENERATED - ON_REQUEST
    assert len(foreign) > 30
    shipped = {re.sub(r"[-_.]+", "-", each) for each in names(IMAGE_LOCK)}
    missing = {
        module
        for module in foreign
        if shipped.isdisjoint(re.sub(r"[-_.]+", "-", each).lower() for each in found[module])
    }
    assert not missing


def _modules(node: ast.AST) -> list[str]:
    match node:
        case ast.Import():
            return [each.name for each in node.names]
        case ast.ImportFrom(level=0, module=str(module)):
            return [module]
    return []


def test_the_bill_of_materials_lists_what_is_locked(tmp_path: Path) -> None:
    [command] = re.findall(r"/tools/bin/cyclonedx-py ((?:.*\\\n)*.*)", DOCKERFILE)
    words = command.replace("\\\n", "").split()
    assert " ".join(words) in " ".join(
        (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", "").split()
    )
    words[words.index("sbom.cdx.json")] = str(tmp_path / "sbom.json")
    subprocess.run([Path(sys.executable).with_name("cyclonedx-py"), *words], cwd=ROOT, check=True)
    bill = json.loads((tmp_path / "sbom.json").read_text(encoding="utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == PROJECT["name"]
    listed = {f"{each['name']}=={each['version']}" for each in bill["components"]}
    assert listed == set(pins(IMAGE_LOCK))
    assert all(each["externalReferences"][0]["hashes"] for each in bill["components"])
