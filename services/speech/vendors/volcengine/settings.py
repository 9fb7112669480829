"""What the recognizer and the voices of Volcengine have in common."""

from typing import ClassVar
from uuid import uuid4

from pydantic import Field

from services.runtime.settings.values import SocketUrl
from services.speech.provider_settings import VendorSettings


class VolcengineSettings(VendorSettings):
    """Volcengine, the cloud of Doubao."""

    kind: ClassVar[str] = "volcengine"
    needs_key: ClassVar[bool] = True
    base_url: SocketUrl
    app_id: str = Field(
        "",
        description="the application's id, with whose access token as the key older accounts are"
        " served; newer accounts have a key alone",
    )

    def headers(self) -> dict[str, str]:
        """Return the headers of a new connection, the key among them."""
        assert self.key is not None
        key = self.key.get_secret_value()
        account = (
            {"X-Api-App-Key": self.app_id, "X-Api-Access-Key": key}
            if self.app_id
            else {"X-Api-Key": key}
        )
        return {
            **account,
            "X-Api-Resource-Id": self.model,
            "X-Api-Connect-Id": str(uuid4()),
            "X-Api-Request-Id": str(uuid4()),
            "X-Api-Sequence": "-1",
        }
