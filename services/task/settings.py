"""The settings of the task service, read from TASK_* and PARLEY_* variables."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.runtime.settings import ProcessSettings


class TaskSettings(ProcessSettings):
    """Everything that a deployment can choose about tasks; durations are seconds."""

    model_config = SettingsConfigDict(env_prefix="TASK_")

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=50051, ge=0, le=65535)
    metrics_port: int = Field(default=0, ge=0, le=65535)
    avatar_target: str = Field(default="127.0.0.1:50053", min_length=1)
    database: Path = Path("var/tasks.sqlite3")
    service_token: SecretStr | None = Field(default=None, validation_alias="PARLEY_SERVICE_TOKEN")
    reflection: bool = Field(default=False, validation_alias="PARLEY_REFLECTION")
    max_duration_s: int = Field(default=1800, ge=10, le=86400)
    max_idle_duration_s: int = Field(default=120, ge=30, le=86400)
    max_running: int = Field(default=100, ge=1)
    max_running_per_user: int = Field(default=10, ge=1)
    start_timeout_s: float = Field(default=60.0, gt=0)
    poll_s: float = Field(default=0.2, gt=0)
    settle_s: float = Field(default=45.0, ge=20)
    sweep_interval_s: float = Field(default=15.0, gt=0)
