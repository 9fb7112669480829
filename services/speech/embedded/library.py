"""The product's own model store, and which models it needs."""

import os
from enum import StrEnum
from pathlib import Path

import platformdirs
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.runtime.settings.environment import ProcessSettings
from services.speech.embedded.manifest import load_manifest
from services.speech.embedded.sources import FolderSource, PackageSource, Source, UrlSource
from services.speech.embedded.store import ModelStore

# Voices, vocabulary and small models that ship with the code.
ASSETS = Path(__file__).parents[1] / "assets"

RECOGNITION_MODEL = "whisper-base"
SYNTHESIS_MODEL = "kokoro-82m"

_GOOD_MODEL_MEMORY = 6 * 10**9
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


class LanguageModel(StrEnum):
    """The embedded language models."""

    GOOD = "good"
    SMALL = "small"
    NONE = "none"

    @property
    def model(self) -> str | None:
        """The model's name in the manifest, None for no model."""
        match self:
            case LanguageModel.GOOD:
                return "qwen2.5-coder-1.5b"
            case LanguageModel.SMALL:
                return "qwen2.5-coder-0.5b"
            case LanguageModel.NONE:
                return None


class LibrarySettings(ProcessSettings):
    """Where models are stored, and which language model is used."""

    model_config = SettingsConfigDict(env_prefix="PARLEY_")

    cache: Path = Field(
        Path(platformdirs.user_cache_dir("parley")),
        description="Folder of the shared cache; models are in its folder `models`.",
    )
    models_dir: Path | None = Field(
        None, description="A folder with copies of model files, tried before the network."
    )
    llm: LanguageModel | None = Field(
        None,
        description=(
            "The language model: good, small or none; by default good where memory allows, "
            "else small."
        ),
    )


def open_store(settings: LibrarySettings) -> ModelStore:
    """Return the store of the product's models."""
    manifest = load_manifest()
    sources: list[Source] = [PackageSource(manifest), UrlSource()]
    if settings.models_dir is not None:
        sources.insert(0, FolderSource(settings.models_dir))
    return ModelStore(manifest=manifest, root=settings.cache / "models", sources=sources)


def choose_language_model(settings: LibrarySettings) -> LanguageModel:
    """Return the one that is set, else the best one that fits into this machine's memory."""
    if settings.llm is not None:
        return settings.llm
    return LanguageModel.GOOD if usable_memory() >= _GOOD_MODEL_MEMORY else LanguageModel.SMALL


def default_models(llm: LanguageModel) -> tuple[str, ...]:
    """Return the names of the models that the embedded providers need, most important first."""
    names = (RECOGNITION_MODEL, SYNTHESIS_MODEL)
    return names if llm.model is None else (*names, llm.model)


def usable_memory() -> int:
    """Return the bytes of memory of the machine, or of the container if that has less."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if _CGROUP_LIMIT.exists():
        limit = _CGROUP_LIMIT.read_text(encoding="ascii").strip()
        if limit.isdigit():
            memory = min(memory, int(limit))
    return memory
