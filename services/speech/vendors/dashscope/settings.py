"""What the recognizers and the voices of DashScope have in common."""

from typing import ClassVar

from pydantic import Field

from services.runtime.settings.values import SocketUrl
from services.speech.provider_settings import VendorSettings

DASHSCOPE_URL = "wss://dashscope.aliyuncs.com/api-ws/v1/inference"


class DashScopeSettings(VendorSettings):
    """Alibaba Cloud Model Studio (DashScope)."""

    kind: ClassVar[str] = "dashscope"
    needs_key: ClassVar[bool] = True
    base_url: SocketUrl = Field(
        DASHSCOPE_URL,
        description="the address of the tasks; keys belong to a region, and so to an address:"
        " dashscope.aliyuncs.com (Beijing), dashscope-intl.aliyuncs.com (Singapore), or that of"
        " a workspace",
    )
    workspace: str = Field("", description="id of the workspace, if it is not the key's default")

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a connection, the key among them."""
        headers = {"X-DashScope-WorkSpace": self.workspace} if self.workspace else {}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key.get_secret_value()}"
        return headers
