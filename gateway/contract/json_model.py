"""The base of all JSON objects of the contract."""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class JsonModel(BaseModel):
    """An object whose members are camelCase."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, frozen=True
    )

    def to_json(self) -> dict[str, Any]:
        """Return the object as it is sent: members that are not set are absent."""
        return self.model_dump(by_alias=True, exclude_none=True)

    def to_text(self) -> str:
        """Return the same as JSON text."""
        return self.model_dump_json(by_alias=True, exclude_none=True)
