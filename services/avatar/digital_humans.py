"""Which digital human is shown when a caller names none."""

import asyncio

from services.avatar.vendor.api import CloudApi
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason


class DefaultDigitalHuman:
    """The configured digital human, else the first one the cloud lists, looked up once."""

    def __init__(self, api: CloudApi, *, digital_human_id: str) -> None:
        self._api = api
        self._digital_human_id = digital_human_id
        self._looking_up = asyncio.Lock()

    async def resolve(self, *, within_s: float) -> str:
        """Return its id; raises ServiceError if there is none."""
        async with self._looking_up:
            if not self._digital_human_id:
                page = await self._api.get_digital_human_list(offset=0, limit=1, within_s=within_s)
                if not page.digital_humans:
                    raise ServiceError(
                        Reason.DIGITAL_HUMAN_NOT_FOUND, "The account has no digital human."
                    )
                self._digital_human_id = page.digital_humans[0].digital_human_id
            return self._digital_human_id
