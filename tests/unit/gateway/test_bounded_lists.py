"""However much a client puts into a list, few words are lost about it."""

from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from gateway.contract.bodies import JsonRequest
from gateway.contract.webhooks import AddWebhookBody, ReplayBody

MANY = 20_000
FEW = 4


def collections_of(model: type[JsonRequest]) -> Iterator[tuple[type[JsonRequest], str]]:
    """Yield the members of a model, and of all that extend it, that hold any number of values."""
    described = model.model_json_schema()["properties"]
    for name, member in described.items():
        # A schema's length is bounded, and nobody looks at its members one by one.
        is_schema = member.get("additionalProperties") is True
        if member.get("type") in ("array", "object") and not is_schema:
            yield model, name
    for extended in model.__subclasses__():
        yield from collections_of(extended)


COLLECTIONS = sorted(
    {(model.__name__, name): (model, name) for model, name in collections_of(JsonRequest)}.items()
)


@pytest.mark.parametrize(("model", "name"), [each for _, each in COLLECTIONS], ids=str)
@pytest.mark.parametrize("value", [{}, 1, "x"], ids=repr)
def test_a_list_is_refused_without_a_word_about_each_value(
    model: type[JsonRequest], name: str, value: object
) -> None:
    is_list = model.model_json_schema()["properties"][name]["type"] == "array"
    given = [value] * MANY if is_list else {str(at): value for at in range(MANY)}
    with pytest.raises(ValidationError) as refused:
        model.model_validate({name: given})
    # Members that are required, and absent here, have theirs.
    about = [each for each in refused.value.errors() if each["loc"][0] == name]
    assert 0 < len(about) <= FEW


def test_the_lists_are_found() -> None:
    found = {(model, name) for _, (model, name) in COLLECTIONS}
    assert {(AddWebhookBody, "eventTypes"), (ReplayBody, "eventIds")} <= found
    assert {"variables", "hotWords", "tools", "history"} <= {name for _, name in found}
