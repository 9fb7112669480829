"""Settings are told once: the example lists them all, and the command line knows the ports."""

import re
from itertools import pairwise

import pytest

from parley.plan.listeners import LISTENERS, TARGETS, Listener
from tools.env_example import EXAMPLE, Variable, example, sections

ALL = {each.name: each for _, variables in sections() for each in variables}


def test_the_example_is_up_to_date() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == example(), "run `make docs`"


def test_the_example_names_every_variable_once() -> None:
    names = re.findall(r"^#([A-Z][A-Z0-9_]*)=", example(), re.MULTILINE)
    assert sorted(names) == sorted(ALL)


@pytest.mark.parametrize("variable", ALL.values(), ids=lambda variable: variable.name)
def test_every_variable_is_explained(variable: Variable) -> None:
    lines = example().splitlines()
    explained = [
        before for before, line in pairwise(lines) if line.startswith(f"#{variable.name}=")
    ]
    assert len(explained) == 1
    assert re.match(r"# \w.{5,}", explained[0])


@pytest.mark.parametrize("listener", LISTENERS, ids=lambda listener: listener.variables[-1])
def test_the_command_line_knows_the_ports(listener: Listener) -> None:
    assert ALL[listener.variables[-1]].default == str(listener.default)
    assert ALL[listener.host_variable].default == "127.0.0.1"


@pytest.mark.parametrize("name", TARGETS)
def test_the_command_line_knows_who_calls_whom(name: str) -> None:
    assert ALL[name].default == f"127.0.0.1:{TARGETS[name].default}"


def test_every_service_that_is_called_is_found_by_a_setting() -> None:
    told = {name for name in ALL if name.endswith("_TARGET")}
    assert told == set(TARGETS)
