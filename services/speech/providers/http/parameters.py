"""What is sent to a model beside what must be, without what it refuses."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from services.speech.providers.http.complaints import Complaint

_RENAMED = {"max_tokens": "max_completion_tokens"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Parameters that a model may be asked without."""

    values: Mapping[str, object]

    def without_refused(self, complaint: Complaint) -> Self | None:
        """Return them without the one that a refusal names; None if it names none of them.

        Each is left out once, so that asking again comes to an end.
        """
        named = next((each for each in self.values if _names(complaint, each)), None)
        if named is None:
            return None
        rest = {key: value for key, value in self.values.items() if key != named}
        if named in _RENAMED:
            rest[_RENAMED[named]] = self.values[named]
        return replace(self, values=rest)


def _names(complaint: Complaint, parameter: str) -> bool:
    if complaint.param:
        return complaint.param == parameter
    names = (parameter, _RENAMED.get(parameter, parameter))
    return any(re.search(rf"\b{name}\b", complaint.message) for name in names)
