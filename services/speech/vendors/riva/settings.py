"""What the recognizers and the voices of Riva have in common."""

from typing import Annotated, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from services.runtime.settings.values import HttpUrl, Name
from services.speech.provider_settings import VendorSettings

CLOUD_URL = "https://grpc.nvcf.nvidia.com:443"
_PORTS = {"http": 80, "https": 443}


def _check_bare(url: str) -> str:
    if urlsplit(url).path:
        raise ValueError("must be like http://host:port, or https:// with TLS")
    return url


class RivaSettings(VendorSettings):
    """NVIDIA Riva, on one's own servers or in NVIDIA's cloud."""

    kind: ClassVar[str] = "riva"
    base_url: Annotated[HttpUrl, AfterValidator(_check_bare)] = Field(
        CLOUD_URL,
        description="where Riva listens for gRPC: NVIDIA's cloud, or one's own server, such as"
        " http://riva.internal:50051, or https:// with TLS",
    )
    function_id: Name | None = Field(
        None, description="id of the function that serves the model in NVIDIA's cloud"
    )
    model: Name = Field(
        "default", description="model; default: the one that the server chooses for the language"
    )

    @property
    def target(self) -> str:
        """Where the server listens, as host:port."""
        parts = urlsplit(self.base_url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{host}:{parts.port or _PORTS[parts.scheme]}"

    @property
    def has_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.base_url.startswith("https:")

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata of each call, the key among them."""
        function = (("function-id", self.function_id),) if self.function_id else ()
        if self.key is None:
            return function
        return (*function, ("authorization", f"Bearer {self.key.get_secret_value()}"))

    @model_validator(mode="after")
    def _check_cloud(self) -> Self:
        if self.base_url == CLOUD_URL:
            for field in ("api_key", "function_id"):
                if getattr(self, field) is None:
                    raise ValueError(
                        f"{self.told(field)} must be set with {self.setting}={self.kind} at its"
                        " default address"
                    )
        return self
