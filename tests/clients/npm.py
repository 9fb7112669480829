"""The packages of clients/: installed, built, packed, and installed again where nothing else is."""

import shutil
import subprocess
from pathlib import Path

from tests.support.compose import ROOT

CLIENTS = ROOT / "clients"
MODULES = CLIENTS / "node_modules"


def run(*command: str, cwd: Path = CLIENTS, env: dict[str, str] | None = None) -> str:
    """Run a command; returns what it printed, and fails the test with it where it fails."""
    done = subprocess.run(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
    return done.stdout


def install() -> None:
    """Get the locked packages that clients are built with."""
    run("npm", "ci")


def pack(workspace: str, project: Path) -> None:
    """Pack a built package, and install it into a project that may be empty."""
    packed = run("npm", "pack", "--workspace", workspace, "--pack-destination", str(project))
    archive = packed.split()[-1]
    manifest = project / "package.json"
    if not manifest.exists():
        manifest.write_text('{"private": true, "type": "module"}', encoding="utf-8")
    run("npm", "install", "--offline", "--no-audit", "--no-fund", f"./{archive}", cwd=project)


def borrow(package: str, project: Path) -> None:
    """Put one of the locked packages into a project, with what it has been installed with."""
    target = project / "node_modules" / package
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(MODULES / package, target)
