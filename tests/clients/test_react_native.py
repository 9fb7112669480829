"""The app for phones: types, components, the native contract, and bundles for both platforms."""

import re
import sys
from pathlib import Path

import pytest

from tests.clients import npm, toolchains

APP = npm.CLIENTS / "react-native"
MODULES = APP / "node_modules"
CODEGEN = MODULES / "react-native" / "scripts" / "generate-codegen-artifacts.js"
HERMES = {"linux": "linux64-bin", "darwin": "osx-bin", "win32": "win64-bin"}
# What bytecode of Hermes, the engine of both platforms, begins with.
MAGIC = bytes.fromhex("c61fbc03c103191f")
NATIVE_SOURCES = {
    "android": APP / "android/app/src/main/java/org/parley/phone/PhoneAudioModule.kt",
    "ios": APP / "ios/Parley/RCTPhoneAudio.mm",
}


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    """The package that the app uses, built, and what the app is built with."""
    toolchains.require(toolchains.NODE)
    npm.install()
    npm.run("npm", "run", "build", "--workspace", "js")
    npm.run("npm", "ci", cwd=APP)


def test_types() -> None:
    npm.run("npm", "run", "check", cwd=APP)


def test_components() -> None:
    npm.run("npm", "test", cwd=APP)


@pytest.mark.parametrize("platform", ["android", "ios"])
def test_bundle(platform: str, tmp_path: Path) -> None:
    bundle, bytecode = tmp_path / "bundle.js", tmp_path / "bundle.hbc"
    flags = ["--platform", platform, "--dev", "false", "--entry-file", "index.js"]
    npm.run("npx", "react-native", "bundle", *flags, "--bundle-output", str(bundle), cwd=APP)
    text = bundle.read_text(encoding="utf-8")
    # The client, the app, and both ways to see the digital human.
    for part in (
        "/api/digital-human",
        "Whom would you like to talk to?",
        "WebRTCModule",
        "ZegoExpressEngine",
    ):
        assert part in text
    compiler = MODULES / "hermes-compiler" / "hermesc" / HERMES[sys.platform] / "hermesc"
    npm.run(str(compiler), "-w", "-emit-binary", "-O", "-out", str(bytecode), str(bundle))
    assert bytecode.read_bytes().startswith(MAGIC)


@pytest.mark.parametrize(
    ("platform", "generated", "method", "implemented"),
    [
        (
            "android",
            "**/NativePhoneAudioSpec.java",
            r"abstract void (\w+)\(",
            r"override fun (\w+)\(",
        ),
        (
            "ios",
            "**/PhoneSpec/PhoneSpec.h",
            r"^- \(void\)(?!emit|setEvent)(\w+)",
            r"^- \(void\)(\w+)",
        ),
    ],
)
def test_native_module(
    platform: str, generated: str, method: str, implemented: str, tmp_path: Path
) -> None:
    """What React Native generates of the contract is what the native sources implement."""
    npm.run("node", str(CODEGEN), "-p", str(APP), "-t", platform, "-o", str(tmp_path), cwd=APP)
    (contract,) = tmp_path.glob(generated)
    demanded = set(re.findall(method, contract.read_text(encoding="utf-8"), re.MULTILINE))
    source = NATIVE_SOURCES[platform].read_text(encoding="utf-8")
    assert demanded == {"enter", "leave", "openMicrophone", "closeMicrophone"}
    assert demanded <= set(re.findall(implemented, source, re.MULTILINE))
