"""The file of tenants: what they may use, and what is wrong with it."""

from pathlib import Path

import pytest

from services.runtime.callers.tenants import NO_QUOTAS, TenantQuota, Tenants, read_tenants
from services.runtime.check import settings_problems
from services.runtime.settings.environment import SettingsError


def read(folder: Path, text: str) -> Tenants:
    file = folder / "tenants.toml"
    file.write_text(text, encoding="utf-8")
    return read_tenants(file)


def test_without_a_file_nobody_has_a_quota() -> None:
    assert read_tenants(None) is NO_QUOTAS
    assert NO_QUOTAS.quota_of("acme") == TenantQuota()
    assert not NO_QUOTAS.are_daily


def test_a_tenant_has_the_defaults_except_for_what_it_names(tmp_path: Path) -> None:
    tenants = read(
        tmp_path,
        """
        [defaults]
        live_tasks = 2
        minutes_per_day = 10

        [tenants.acme]
        live_tasks = 100
        cost_per_day = 2.5
        currency = "USD"
        """,
    )
    acme = tenants.quota_of("acme")
    assert (acme.live_tasks, acme.minutes_per_day) == (100, 10)
    assert (acme.cost_per_day, acme.currency) == (2.5, "USD")
    assert tenants.quota_of("other").live_tasks == 2
    assert tenants.quota_of("other").cost_per_day is None
    assert tenants.are_daily


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[defaults]\nlive_tasks = -1", "defaults.live_tasks: must be at least 0"),
        ("[defaults]\nlive_tasks = true", "defaults.live_tasks: must be a whole number"),
        ("[defaults]\nlife = 1", "defaults.life: is unknown; expected one of live_tasks, "),
        ("[tenants.a]\ncost_per_day = 1", "tenants.a: cost_per_day and currency need each other"),
        ("[tenants.a]\ncurrency = 'usd'", "tenants.a.currency: must be a code of ISO 4217"),
        ("[tenants.Acme]\n", "tenants.Acme: must be 1 to 63 of a-z, 0-9 and '-'"),
        ("[tenant.a]\n", "tenant: is unknown; expected one of defaults, tenants"),
        ("defaults = 3", "defaults: must be a table"),
        ("live tasks", "must be TOML"),
    ],
)
def test_a_faulty_file_is_refused_with_place_and_rule(
    tmp_path: Path, text: str, fault: str
) -> None:
    with pytest.raises(SettingsError, match=r"tenants\.toml") as caught:
        read(tmp_path, text)
    assert fault in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: cannot be read"):
        read_tenants(tmp_path / "none.toml")


def test_whoever_has_to_correct_a_file_is_told_which(tmp_path: Path) -> None:
    file = tmp_path / "tenants.toml"
    file.write_text("[defaults]\nlive_tasks = 'many'\n")
    with pytest.raises(SettingsError) as told:
        read_tenants(file)
    [finding] = settings_problems(told.value)
    assert finding.subject == str(file)
    assert finding.found.startswith("defaults.live_tasks: ")
    assert "TENANTS_FILE" in finding.remedy
