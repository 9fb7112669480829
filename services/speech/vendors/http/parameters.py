"""Optional parameters of a request, without those that the model refuses."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from services.speech.vendors.http.error_details import ErrorDetail

_RENAMED = {"max_tokens": "max_completion_tokens"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Parameters that a request can do without."""

    values: Mapping[str, object]

    def without_refused(self, detail: ErrorDetail) -> Self | None:
        """Return these without the one that a refusal names; None if it names none of them.

        Each is left out once, so that retrying ends.
        """
        named = next((each for each in self.values if _names(detail, each)), None)
        if named is None:
            return None
        rest = {key: value for key, value in self.values.items() if key != named}
        if named in _RENAMED:
            rest[_RENAMED[named]] = self.values[named]
        return replace(self, values=rest)


def _names(detail: ErrorDetail, parameter: str) -> bool:
    if detail.param:
        return detail.param == parameter
    names = (parameter, _RENAMED.get(parameter, parameter))
    return any(re.search(rf"\b{name}\b", detail.message) for name in names)
