"""A journal and a cloud that refuse, lose and do in secret what they are asked."""

import pytest

from bench.chaos.run import Plan, unfaithful

pytestmark = pytest.mark.timeout(240)


async def test_dependencies_not_to_be_relied_on() -> None:
    figures = await unfaithful(Plan(replicas=1, users=4, seed=4), None, minutes=0.1)
    assert not figures["violations"]
    assert figures["turns_acknowledged"] > 0
