"""The chart with some, all and hardly any of its parts."""

import pytest

from tests.support.chart import VARIANTS, Rendered, render


@pytest.fixture(params=VARIANTS, scope="module")
def rendered(request: pytest.FixtureRequest) -> Rendered:
    return render(VARIANTS[request.param])
