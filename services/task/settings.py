"""The settings of the task service, read from TASK_* and PARLEY_* variables."""

from ipaddress import ip_network
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from services.runtime.limits import LONGEST_TASK_S
from services.runtime.links import ServiceSettings
from services.runtime.security.identities import Identity
from services.runtime.security.vault import is_vault_key
from services.runtime.settings.environment import ProcessSettings
from services.runtime.settings.values import (
    DatabaseLocation,
    Port,
    PostgresUrl,
    Secrets,
    Targets,
    split_list,
)


class DatabaseSettings(ProcessSettings):
    """What a process needs that only migrates or repairs the journal."""

    model_config = SettingsConfigDict(env_prefix="TASK_")

    database: DatabaseLocation = Field(
        SecretStr("var/tasks.sqlite3"),
        description="the journal: a SQLite file, default var/tasks.sqlite3; or, for several"
        " replicas, postgresql://user:password@host:port/name",
    )
    database_listen: PostgresUrl | None = Field(
        None,
        description="the same PostgreSQL database without pgbouncer, for one connection that"
        " listens; default: TASK_DATABASE",
    )
    database_pool: int = Field(
        10, ge=1, le=1000, description="connections to PostgreSQL of each process, at most"
    )

    @property
    def database_url(self) -> str | None:
        """The URL of the PostgreSQL database; None: the journal is a SQLite file."""
        location = self.database.get_secret_value()
        return location if "://" in location else None


class TaskSettings(DatabaseSettings, ServiceSettings):
    """Everything that a deployment can choose about tasks; durations are seconds."""

    model_config = SettingsConfigDict(env_prefix="TASK_")
    identity: ClassVar = Identity.TASK

    port: Port = Field(50051, description="port to listen on")
    avatar_target: Targets = Field(
        "127.0.0.1:50053",
        description="where the avatar service listens; several replicas: separated by"
        " commas, or dns:///host:port",
    )
    longest_duration_s: int = Field(
        14_400,
        ge=10,
        le=LONGEST_TASK_S,
        description="longest duration, and idle time, that a task may set, 10 to 86400 s",
    )
    max_duration_s: int = Field(
        1800,
        ge=10,
        le=LONGEST_TASK_S,
        description="hard limit of tasks that set none, 10 s to TASK_LONGEST_DURATION_S",
    )
    max_idle_duration_s: int = Field(
        120,
        ge=30,
        le=LONGEST_TASK_S,
        description="idle time without speech that ends a task, 30 to 86400 s",
    )
    max_running: int = Field(100, ge=1, description="tasks that may run at once")
    max_running_per_user: int = Field(10, ge=1, description="tasks of one user at once")
    tenants_file: Path | None = Field(
        None,
        validation_alias="TENANTS_FILE",
        description="file of what each tenant may use; default: no quotas",
    )
    budget_user_seconds: int = Field(
        0, ge=0, description="billable seconds of each named user in a period; 0: no limit"
    )
    budget_period: Literal["day", "month"] = Field(
        "month", description="when budgets are renewed, in UTC: day or month"
    )
    owns_account: bool = Field(
        False,
        description="whether nobody else uses the cloud's account: avatars that are not in the"
        " journal, such as after its loss, are stopped",
    )
    start_timeout_s: float = Field(
        60.0, gt=0, description="seconds until a task that is not on air counts as failed"
    )
    poll_s: float = Field(0.2, gt=0, description="seconds between polls of a starting task")
    settle_s: float = Field(
        45.0, ge=20, description="seconds until an order unknown to the cloud counts as lost"
    )
    keep_days: int = Field(
        365, ge=0, le=3650, description="days after its end for which a task is kept; 0: for ever"
    )
    keep_conversation_days: int = Field(
        30,
        ge=0,
        le=3650,
        description="days after its end for which what was said in a task is kept; 0: as long as"
        " the task",
    )
    keep_audit_days: int = Field(
        365, ge=0, le=3650, description="days for which the audit log is kept; 0: for ever"
    )
    webhook_networks: str = Field(
        "",
        description="networks besides the public internet to which webhooks may lead, such as"
        " 10.0.0.0/8, separated by commas",
    )
    encryption_keys: Secrets = Field(
        SecretStr(""),
        validate_default=True,
        description="keys that encrypt stored secrets, the first of them new ones, separated by"
        " commas; each 32 random bytes in URL-safe base64; none: they are stored as they are",
    )
    sweep_interval_s: float = Field(
        15.0, gt=0, description="seconds between comparisons of the journal with the cloud"
    )

    @model_validator(mode="after")
    def _check_durations(self) -> Self:
        if self.max_duration_s > self.longest_duration_s:
            raise ValueError("TASK_MAX_DURATION_S must be at most TASK_LONGEST_DURATION_S")
        return self

    @field_validator("webhook_networks")
    @classmethod
    def _are_networks(cls, networks: str) -> str:
        try:
            for each in split_list(networks):
                ip_network(each)
        except ValueError:
            raise ValueError("must be networks such as 10.0.0.0/8, separated by commas") from None
        return networks

    @field_validator("encryption_keys")
    @classmethod
    def _are_keys(cls, keys: SecretStr) -> SecretStr:
        if not all(map(is_vault_key, split_list(keys.get_secret_value()))):
            raise ValueError("must be 32 bytes in URL-safe base64 each, separated by commas")
        return keys
