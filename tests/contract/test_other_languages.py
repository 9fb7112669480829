"""Programs in other languages can be made as the documentation says, with nothing missing."""

import asyncio
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from services.runtime.channels.retries import SERVICE_CONFIG
from tests.support.speech_rig import Script, speech_rig
from tools.protos_bundle import bundle

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8")
BUNDLED_PAGE = (ROOT / "protos" / "README.md").read_text(encoding="utf-8")
LINES = [
    line
    for block in re.findall(r"```sh\n(.*?)```", BUNDLED_PAGE, re.DOTALL)
    for line in block.splitlines()
    if "protoc " in line
]
# buf is beside this interpreter.
PATH = (str(Path(sys.executable).parent), os.environ["PATH"])
LANGUAGE = r"--([a-z]+)(?:_proto)?_out"
# Imports that these compilers and libraries bring along.
BROUGHT = {
    "go": {"buf/validate/validate.proto", "google/rpc/code.proto", "google/rpc/status.proto"},
    "py": {"google/rpc/code.proto", "google/rpc/status.proto"},
}
PLUGIN = """#!{python}
# Stands for a language's plugin: writes what it is asked to generate, and what that imports.
import json, sys
from google.protobuf.compiler import plugin_pb2
request = plugin_pb2.CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
asked = set(request.file_to_generate)
imports = {{each for file in request.proto_file if file.name in asked for each in file.dependency}}
response = plugin_pb2.CodeGeneratorResponse(
    supported_features=3, minimum_edition=998, maximum_edition=1000
)
told = response.file.add()
# buf asks for one folder at a time.
told.name = sys.argv[0].rpartition("/")[2] + "." + min(asked).replace("/", ".") + ".json"
told.content = json.dumps({{"asked": sorted(asked), "imports": sorted(imports)}})
sys.stdout.buffer.write(response.SerializeToString())
"""
PYTHON = """#!/bin/sh
exec {python} "$@"
"""
COMPILER = """#!/bin/sh
exec {python} -m grpc_tools.protoc "$@"
"""


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with the real compiler, and a plugin of each language that tells its order."""
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts = {"protoc": COMPILER, "python": PYTHON}
    languages = re.findall(r"--([\w-]+)_out=", " ".join(LINES))
    scripts |= {f"protoc-gen-{each}": PLUGIN for each in languages if "python" not in each}
    for name, text in scripts.items():
        script = folder / name
        script.write_text(text.format(python=sys.executable))
        script.chmod(0o755)
    return folder


@pytest.fixture
def bundled(tmp_path: Path) -> Path:
    """A folder that has what the bundle has."""
    with tarfile.open(bundle(tmp_path)) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.glob("parley-protos-*/")
    return unpacked


def generate(line: str, folder: Path, tools: Path) -> None:
    """Run a line of the bundle's page in a folder that has the bundle."""
    for target in re.findall(r"_out=(\S+)", line):
        (folder / target).mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=folder,
        env=dict(os.environ) | {"PATH": os.pathsep.join([str(tools), *PATH])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_page_has_a_line_for_each_language() -> None:
    told = {re.findall(LANGUAGE, line)[0] for line in LINES}
    assert told == {"ts", "java", "csharp", "go", "python"}


@pytest.mark.parametrize(
    "line",
    [each for each in LINES if "--python_out" not in each],
    ids=lambda line: re.findall(LANGUAGE, line)[0],
)
def test_whatever_is_imported_is_generated_too(line: str, bundled: Path, tools: Path) -> None:
    generate(line, bundled, tools)
    language = re.findall(LANGUAGE, line)[0]
    orders = [json.loads(path.read_text()) for path in bundled.rglob("protoc-gen-*.json")]
    assert orders
    for order in orders:
        assert "digitalhuman/task/v1/task.proto" in order["asked"]
        missing = {
            each
            for each in set(order["imports"]) - set(order["asked"])
            if not each.startswith("google/protobuf/")
        }
        assert missing <= BROUGHT.get(language, set())


async def test_the_client_of_the_page_works_as_it_is_written(bundled: Path, tools: Path) -> None:
    (line,) = (each for each in LINES if "--python_out" in each)
    generate(line, bundled, tools)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    async with speech_rig(Script(service_token="hush")) as rig:
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code.replace("127.0.0.1:50052", rig.address)),
            env=dict(os.environ)
            | {"PYTHONPATH": str(bundled / "gen" / "py"), "PARLEY_SERVICE_TOKEN": "hush"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        told, complaints = await client.communicate()
    assert client.returncode == 0, complaints.decode()
    *personas, refusal = told.decode().splitlines()
    assert personas == ["host en zh", "tutor en"]
    assert refusal == "refused: VOICE_NOT_FOUND"


def test_the_bundle_is_the_same_at_any_time(tmp_path: Path) -> None:
    first, again = (bundle(tmp_path / each).read_bytes() for each in ("first", "again"))
    assert first == again


def test_the_bundle_has_the_policy_that_services_use(bundled: Path) -> None:
    assert (bundled / "service_config.json").read_bytes() == SERVICE_CONFIG.read_bytes()


def test_buf_generates_by_the_example(bundled: Path, tools: Path) -> None:
    generate("buf generate --path protos/digitalhuman", bundled, tools)
    orders = [json.loads(path.read_text()) for path in bundled.rglob("protoc-gen-*.json")]
    asked = {each for order in orders for each in order["asked"]}
    assert "digitalhuman/speech/v1/speech.proto" in asked
    assert all(each.startswith("digitalhuman/") for each in asked)


def test_one_file_holds_everything(bundled: Path) -> None:
    image = bundled / "parley.binpb"
    buf = Path(sys.executable).with_name("buf")
    done = subprocess.run([buf, "build", "-o", image], cwd=bundled, check=False)
    assert done.returncode == 0
    content = image.read_bytes()
    for name in (b"google/rpc/error_details.proto", b"buf/validate/validate.proto"):
        assert name in content
