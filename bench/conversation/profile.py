"""`python -m bench.conversation.profile NAME MODULE`: a process under cProfile, into NAME.prof."""

import cProfile
import runpy
import sys


def main() -> None:
    """Run the module like `python -m`."""
    name, module = sys.argv[1:3]
    sys.argv = [module]
    profile = cProfile.Profile()
    try:
        profile.runcall(runpy.run_module, module, run_name="__main__", alter_sys=True)
    finally:
        profile.dump_stats(f"{name}.prof")


if __name__ == "__main__":
    main()
