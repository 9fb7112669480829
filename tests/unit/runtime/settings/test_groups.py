"""Groups of settings, and choices between them: each is read from variables of its own."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.runtime.settings.environment import ProcessSettings, SettingsError, load, variables
from services.runtime.settings.groups import NONE, Choice, Option, SettingsGroup


class Kind(StrEnum):
    """Who may carry."""

    CART = "cart"
    TRUCK = "truck"


class Cart(Option):
    """Small, and needs nothing."""

    kind: ClassVar[Kind] = Kind.CART
    load: int = Field(10, le=50)
    horse: str = ""


class Truck(Option):
    """Large; `plate` is required, and the key is shared."""

    kind: ClassVar[Kind] = Kind.TRUCK
    load: int = Field(1000, le=5000)
    plate: str
    key: SecretStr | None = Field(None, validation_alias="SAMPLE_KEY")


class Carriage(SettingsGroup):
    """Who carries, and who helps out."""

    first: Annotated[
        Cart | Truck, Choice(variable="SAMPLE_CARRIER", default=Kind.CART, description="who")
    ]
    second: Annotated[
        Truck | None, Choice(variable="SAMPLE_CARRIER_HELP", default=NONE, description="who helps")
    ]
    wait_s: float = Field(1.0, gt=0)


class Settings(ProcessSettings):
    """A process that has a group."""

    model_config = SettingsConfigDict(env_prefix="SAMPLE_")

    carrier: Carriage
    limit: int = 3


def read(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(f"SAMPLE_{name}", value)
    return load(Settings)


def refusal(monkeypatch: pytest.MonkeyPatch, **environment: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(monkeypatch, **environment)
    return str(caught.value).splitlines()


def test_what_is_not_set_has_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    carrier = read(monkeypatch).carrier
    assert carrier.first == Cart(setting="SAMPLE_CARRIER")
    assert (carrier.second, carrier.wait_s) == (None, 1.0)


def test_the_chosen_option_reads_the_variables_of_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    carrier = read(
        monkeypatch,
        CARRIER="truck",
        CARRIER_PLATE="first",
        CARRIER_HELP="truck",
        CARRIER_HELP_PLATE="second",
        CARRIER_WAIT_S="2",
        KEY="hush",
    ).carrier
    assert isinstance(carrier.first, Truck)
    assert carrier.second is not None
    assert [each.plate for each in (carrier.first, carrier.second)] == ["first", "second"]
    assert carrier.first.setting == "SAMPLE_CARRIER"
    keys = [each.key for each in (carrier.first, carrier.second)]
    assert [key and key.get_secret_value() for key in keys] == ["hush", "hush"]
    assert carrier.wait_s == 2


def test_the_chosen_option_s_own_rules_count(monkeypatch: pytest.MonkeyPatch) -> None:
    # A load that no cart carries.
    assert (
        read(monkeypatch, CARRIER="truck", CARRIER_PLATE="p", CARRIER_LOAD="900").carrier.first.load
        == 900
    )
    [told] = refusal(monkeypatch, CARRIER="cart")
    assert told.startswith("SAMPLE_CARRIER_LOAD: ")


def test_what_only_another_option_reads_is_checked_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [told] = refusal(monkeypatch, CARRIER="cart", CARRIER_PLATE='"quoted"')
    assert told.startswith("SAMPLE_CARRIER_PLATE: ")


def test_an_option_that_does_not_serve_here_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [told] = refusal(monkeypatch, CARRIER_HELP="cart")
    assert told == "SAMPLE_CARRIER_HELP: must be one of 'none', 'truck'"


def test_all_that_is_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told = refusal(
        monkeypatch,
        CARRIER="s3cr3t",
        CARRIER_LOAD="many",
        CARRIER_HELP="truck",
        CARRIER_WAIT_S="-1",
        LIMIT="x",
    )
    assert {line.partition(":")[0] for line in told} == {
        "SAMPLE_CARRIER",
        "SAMPLE_CARRIER_LOAD",
        "SAMPLE_CARRIER_HELP_PLATE",
        "SAMPLE_CARRIER_WAIT_S",
        "SAMPLE_LIMIT",
    }
    assert "s3cr3t" not in "\n".join(told)


def test_a_file_holds_a_value_of_a_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in (("KIND", "truck\n"), ("PLATE", "from the file\n")):
        (tmp_path / name).write_text(text)
    carrier = read(
        monkeypatch,
        CARRIER_FILE=str(tmp_path / "KIND"),
        CARRIER_PLATE_FILE=str(tmp_path / "PLATE"),
        CARRIER_LOAD="900",
    ).carrier
    assert isinstance(carrier.first, Truck)
    assert (carrier.first.plate, carrier.first.load) == ("from the file", 900)


def test_every_variable_is_known_with_its_default() -> None:
    found = {each.names[0]: each for each in variables(Settings)}
    assert {"SAMPLE_CARRIER", "SAMPLE_CARRIER_LOAD", "SAMPLE_CARRIER_HORSE", "SAMPLE_LIMIT"} <= {
        *found
    }
    assert found["SAMPLE_CARRIER"].description == "who: cart, truck"
    assert found["SAMPLE_CARRIER_HELP"].description == "who helps: none, truck"
    assert found["SAMPLE_CARRIER_HELP_LOAD"].default == 1000
    assert "SAMPLE_CARRIER_SETTING" not in found
