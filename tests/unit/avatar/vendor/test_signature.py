"""The signature equals the vendor's on known inputs, and is fresh for each call."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.avatar.vendor.signature import Credentials, sign, signed_query

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "data" / "zego_vectors.json").read_text(encoding="utf-8")
)
CREDENTIALS = Credentials(app_id=1234567890, server_secret="0123456789abcdef0123456789abcdef")


@pytest.mark.parametrize(
    "vector", VECTORS["api_signature"]["vectors"], ids=lambda vector: vector["name"]
)
def test_known_inputs_have_their_signature(vector: dict[str, Any]) -> None:
    credentials = Credentials(app_id=int(vector["app_id"]), server_secret=vector["server_secret"])
    timestamp = int(vector["timestamp"])
    assert sign(credentials, nonce=vector["nonce"], timestamp=timestamp) == vector["signature"]


def test_a_query_carries_its_own_signature() -> None:
    query = signed_query(CREDENTIALS, action="DoAction", timestamp=1700000000)
    assert query["Signature"] == sign(
        CREDENTIALS, nonce=query["SignatureNonce"], timestamp=1700000000
    )
    assert (query["Action"], query["AppId"], query["Timestamp"], query["SignatureVersion"]) == (
        "DoAction",
        "1234567890",
        "1700000000",
        "2.0",
    )


def test_no_two_queries_share_a_nonce() -> None:
    queries = [signed_query(CREDENTIALS, action="DoAction", timestamp=0) for _ in range(100)]
    assert len({query["SignatureNonce"] for query in queries}) == 100


def test_the_secret_is_not_shown() -> None:
    assert CREDENTIALS.server_secret not in repr(CREDENTIALS)
