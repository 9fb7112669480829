"""`python -m services.speech.provider_list [--json]`: what can be set for each kind of provider."""

import json
import signal
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict

from services.speech.profiles.listing import StageKinds, all_kinds

WIDTH = 100


def lines(stage: StageKinds) -> Iterator[str]:
    """Yield what a person reads about a stage."""
    yield f'{stage.stage}: {stage.variable}=KIND, or kind = "KIND" in [{stage.tables}.NAME]'
    for kind in stage.kinds:
        yield f"\n  {kind.kind}: {kind.description}"
        for each in kind.settings:
            default = f" = {each.default}" if each.default else ""
            yield f"    {each.name}{default}"
            looked_up = f" (or {each.name}_file, {each.name}_variable)" if each.is_secret else ""
            yield textwrap.fill(
                f"{each.description}{looked_up}",
                WIDTH,
                initial_indent=" " * 8,
                subsequent_indent=" " * 8,
            )


def main() -> int:
    """Print the list; return the exit code."""
    stages = all_kinds()
    if "--json" in sys.argv[1:]:
        print(json.dumps([asdict(each) for each in stages], indent=2))
    else:
        print("\n\n".join("\n".join(lines(each)) for each in stages))
    return 0


if __name__ == "__main__":
    # Whoever reads only its beginning ends it.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
