"""Makes the generated code a part of every installation."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class GenerateProtos(BuildHookInterface[Any]):
    """Runs the generator before the package is built or installed in place."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate gen/ from protos/."""
        sys.path.insert(0, str(Path(self.root)))
        from tools.gen_protos import generate

        generate()
