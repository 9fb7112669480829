"""What each tenant may use, from one file that all processes read when they start.

```toml
[defaults]                    # of every tenant; what is not named has no limit
live_tasks = 20
longest_task_s = 3600
minutes_per_day = 600         # of tasks, by days in UTC
cost_per_day = 25.0           # of providers with a price, in the currency
currency = "USD"
questions_per_minute = 60     # of all conversations of a speech process

[tenants.acme]                # names only what differs
live_tasks = 100
```
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from services.runtime.callers.caller import check_tenant_id
from services.runtime.limits import LONGEST_TASK_S
from services.runtime.settings.environment import SettingsError
from services.runtime.settings.tables import StrictTable, place_of, rule_of, unknown

MICROS = 1_000_000
"""Costs are counted in millionths of their currency."""

_DEFAULTS = "defaults"
_TENANTS = "tenants."


def _check_tenant(tenant_id: str) -> str:
    try:
        return check_tenant_id(tenant_id)
    except ValueError as error:
        raise PydanticCustomError("tenant", str(error)) from None


def _check_currency(currency: str) -> str:
    if not re.fullmatch("[A-Z]{3}", currency):
        raise PydanticCustomError("currency", "must be a code of ISO 4217 such as USD")
    return currency


class TenantQuota(StrictTable):
    """What one tenant may use; None is no limit."""

    live_tasks: int | None = Field(None, ge=0)
    longest_task_s: int | None = Field(None, ge=10, le=LONGEST_TASK_S)
    minutes_per_day: int | None = Field(None, ge=0)
    cost_per_day: float | None = Field(None, ge=0)
    currency: Annotated[str, AfterValidator(_check_currency)] | None = None
    questions_per_minute: int | None = Field(None, ge=0, le=10_000)

    @property
    def is_daily(self) -> bool:
        """Whether anything is limited by the day."""
        return self.minutes_per_day is not None or self.cost_per_day is not None


_TenantId: TypeAlias = Annotated[str, AfterValidator(_check_tenant)]


class _FileTable(StrictTable):
    """A whole file; the tables of tenants are checked once the defaults are in them."""

    defaults: dict[str, Any] = Field(default_factory=dict)
    tenants: dict[_TenantId, dict[str, Any]] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenants:
    """The quotas of all tenants, those of which nothing is said included."""

    default: TenantQuota = field(default_factory=TenantQuota)
    by_id: Mapping[str, TenantQuota] = field(default_factory=dict)

    @property
    def are_daily(self) -> bool:
        """Whether anything of any tenant is limited by the day."""
        return any(each.is_daily for each in (self.default, *self.by_id.values()))

    def quota_of(self, tenant_id: str) -> TenantQuota:
        """Return what a tenant may use."""
        return self.by_id.get(tenant_id, self.default)


NO_QUOTAS = Tenants()


def read_tenants(path: Path | None) -> Tenants:
    """Parse the file; without one nobody has a quota.

    Raises SettingsError with all of its faults, none of which shows a value.
    """
    if path is None:
        return NO_QUOTAS
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise _faulty(f"{path}: must be TOML in UTF-8") from None
    except OSError as error:
        raise _faulty(f"{path}: cannot be read: {error.strerror}") from None
    tables, faults = _tables(content)
    quotas: dict[str, TenantQuota] = {}
    for place, table in tables.items():
        try:
            quotas[place] = TenantQuota.model_validate(table)
        except ValidationError as error:
            faults += (f"{place}.{fault}" for fault in _faults(error, TenantQuota))
        else:
            if (quotas[place].cost_per_day is None) != (quotas[place].currency is None):
                faults.append(f"{place}: cost_per_day and currency need each other")
    if faults:
        raise _faulty("\n".join(f"{path}: {fault}" for fault in faults))
    default = quotas.pop(_DEFAULTS)
    by_id = {place.removeprefix(_TENANTS): quota for place, quota in quotas.items()}
    return Tenants(default=default, by_id=by_id)


def _faulty(message: str) -> SettingsError:
    return SettingsError(
        message,
        remedy="Correct the file that TENANTS_FILE names; docs/operations.md describes it.",
    )


def _tables(content: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the tables of quotas by their places, with the defaults in each, and the faults."""
    try:
        file = _FileTable.model_validate(content)
    except ValidationError as error:
        return {}, list(_faults(error, _FileTable))
    own = {f"{_TENANTS}{each}": file.defaults | table for each, table in file.tenants.items()}
    return {_DEFAULTS: file.defaults, **own}, []


def _faults(error: ValidationError, table: type[StrictTable]) -> Iterator[str]:
    for each in error.errors():
        is_unknown = each["type"] == "extra_forbidden"
        rule = unknown(table.model_fields) if is_unknown else rule_of(each)
        yield f"{place_of(each['loc'])}: {rule}"
