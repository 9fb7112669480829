"""What a deployment chooses of Deepgram."""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from services.runtime.settings.values import Name, SocketUrl
from services.speech.provider_settings import VendorSettings


class DeepgramSettings(VendorSettings):
    """Nova, which hears words, or Flux, which hears the ends of turns as well."""

    kind: ClassVar[str] = "deepgram"
    needs_key: ClassVar[bool] = True
    base_url: SocketUrl = Field(
        "wss://api.deepgram.com", description="the API before /v1/listen and /v2/listen"
    )
    model: Name = Field(
        "nova-3", description="nova-3, nova-2, flux-general-en, flux-general-multi, or newer ones"
    )
    smart_format: bool = Field(
        False, description="whether nova writes numbers and dates as people do, which takes longer"
    )
    eager_turn_end: float = Field(
        0.5,
        ge=0,
        le=0.9,
        description="from which probability on flux calls the end of a turn likely, so that a"
        " reply is begun; 0 for never",
    )
    turn_end: float = Field(
        0.7, ge=0.5, le=1, description="from which probability on flux calls it certain"
    )
    turn_end_silence_ms: int = Field(
        5_000, ge=500, le=60_000, description="silence after which it is certain in any case"
    )
    opt_out: bool = Field(
        False, description="whether to opt out of the vendor's model improvement program"
    )

    @property
    def is_flux(self) -> bool:
        """Whether the model is one of those that hear the ends of turns."""
        return self.model.startswith("flux")

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a connection, the key among them."""
        return {"Authorization": f"Token {self.key.get_secret_value()}"} if self.key else {}

    @model_validator(mode="after")
    def _check_turn_ends(self) -> Self:
        if self.eager_turn_end > self.turn_end:
            raise ValueError(
                f"{self.told('eager_turn_end')} must not be above {self.told('turn_end')}"
            )
        return self
