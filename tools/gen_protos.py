"""Generates the Python code of all protos into gen/: the only generator there is."""

import os
import shutil
import sys
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("digitalhuman", "buf", "riva")
PLUGINS = ("protoc-gen-mypy", "protoc-gen-mypy_grpc")


def generate(target: Path = ROOT / "gen") -> None:
    """Replace `target` with newly generated modules, stubs and gRPC code.

    Raises SystemExit with the compiler's status when a proto does not compile.
    """
    from grpc_tools import protoc

    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    well_known = str(files("grpc_tools") / "_proto")
    own = _protos(ROOT / "protos")
    riva = [each for each in _protos(ROOT / "third_party") if each.startswith("riva/")]
    status = protoc.main(
        [
            "protoc",
            f"--proto_path={ROOT / 'protos'}",
            f"--proto_path={ROOT / 'third_party'}",
            f"--proto_path={well_known}",
            *(f"--plugin={name}={_plugin(name)}" for name in PLUGINS),
            f"--python_out={target}",
            f"--grpc_python_out={target}",
            f"--mypy_out=quiet,readable_stubs:{target}",
            f"--mypy_grpc_out=quiet,only_async:{target}",
            "buf/validate/validate.proto",
            *riva,
            *own,
        ]
    )
    if status:
        raise SystemExit(status)
    for package in PACKAGES:
        for folder in (target / package, *(target / package).rglob("*/")):
            (folder / "__init__.py").touch()
    (target / "digitalhuman" / "py.typed").touch()


def _protos(folder: Path) -> list[str]:
    """Return the protos in a folder, as they import each other."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob("**/*.proto"))


def _plugin(name: str) -> str:
    """Return the plugin next to this interpreter, else the one on PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which(name, path=path)
    if found is None:
        raise SystemExit(f"{name} is missing: install mypy-protobuf")
    return found


if __name__ == "__main__":
    generate()
