"""What the recognizers and the voices of Azure have in common."""

from typing import Any, ClassVar
from uuid import uuid4

from pydantic import Field, model_validator

from services.runtime.settings.values import Name, SocketUrl
from services.speech.provider_settings import VendorSettings


class AzureSettings(VendorSettings):
    """Azure AI Speech."""

    kind: ClassVar[str] = "azure"
    needs_key: ClassVar[bool] = True
    service: ClassVar[str]
    base_url: SocketUrl = Field(
        "wss://eastus.tts.speech.microsoft.com",
        description="the address of the service in the key's region, before the path",
    )
    region: Name | None = Field(
        None, description="the key's region, such as eastus, instead of the address"
    )
    model: Name = Field("base", description="base, or the id of the endpoint of a custom model")

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a new connection, the key among them."""
        headers = {"X-ConnectionId": uuid4().hex}
        if self.key is not None:
            headers["Ocp-Apim-Subscription-Key"] = self.key.get_secret_value()
        return headers

    @property
    def custom_model(self) -> str:
        """The id of a custom model, empty for none."""
        return "" if self.model == "base" else self.model

    @model_validator(mode="before")
    @classmethod
    def _find_region(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("base_url") or not given.get("region"):
            return given
        domain = "azure.cn" if str(given["region"]).startswith("china") else "microsoft.com"
        return {**given, "base_url": f"wss://{given['region']}.{cls.service}.speech.{domain}"}
