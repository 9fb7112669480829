"""What a client chooses costs the others nothing: charsets, numbers of parameters and of frames."""

from collections.abc import AsyncIterator

import pytest

from tests.support.gateway_rig import RunningGateway

TALK = "/api/digital-human/talk-to-ai"
shared = pytest.mark.asyncio(loop_scope="module")


def form(value: bytes) -> bytes:
    """A form with one field."""
    return (
        b'--edge\r\nContent-Disposition: form-data; name="taskId"\r\n\r\n'
        + value
        + b"\r\n--edge--\r\n"
    )


@pytest.mark.parametrize(
    "charset",
    [
        "punycode",
        "idna",
        "undefined",
        "unicode_escape",
        "utf-7",
        "latin-1",
        "no-such-charset",
        '""',
        # Of several, another reader may take another one.
        "utf-8; charset=punycode",
        "punycode; charset*=utf-8''utf-8",
    ],
)
@shared
async def test_a_form_is_utf8(shared_gateway: RunningGateway, charset: str) -> None:
    answer = await shared_gateway.client.post(
        TALK,
        content=form(b"a" * 60_000),
        headers={"content-type": f"multipart/form-data; charset={charset}; boundary=edge"},
    )
    assert (answer.status_code, answer.json()["reason"]) == (415, "MEDIA_TYPE_UNSUPPORTED")
    assert answer.json()["violations"][0]["rule"] == "charset"


@pytest.mark.parametrize("charset", ["", "; charset=UTF-8", '; charset="utf8"'])
async def test_a_form_may_say_that_it_is_utf8(gateway: RunningGateway, charset: str) -> None:
    task_id = await gateway.create()
    content = form(task_id.encode()).replace(
        b"--edge--", b'--edge\r\nContent-Disposition: form-data; name="text"\r\n\r\nHi\r\n--edge--'
    )
    answer = await gateway.client.post(
        TALK,
        content=content,
        headers={"content-type": f"multipart/form-data{charset}; boundary=edge"},
    )
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "query",
    ["&".join(f"p{at}=1" for at in range(3_000)), "state=STREAMING&" * 1_000, "p&" * 10_000],
)
# Where nobody reads parameters, nobody parses them either.
@pytest.mark.parametrize("path", ["/api/digital-human/tasks", "/livez", "/nowhere"])
@shared
async def test_an_address_has_few_parameters(
    shared_gateway: RunningGateway, path: str, query: str
) -> None:
    answer = await shared_gateway.client.get(f"{path}?{query}&a=1")
    assert (answer.status_code, answer.json()["reason"]) == (400, "INVALID_REQUEST")
    assert answer.json()["violations"][0]["rule"] == "max_parameters"


async def test_a_content_type_is_short(gateway: RunningGateway) -> None:
    answer = await gateway.client.post(
        TALK, content=b"x", headers={"content-type": "multipart/form-data; " + "a=b;" * 1_000}
    )
    assert (answer.status_code, answer.json()["reason"]) == (415, "MEDIA_TYPE_UNSUPPORTED")
    assert answer.json()["violations"][0]["rule"] == "max_length"


@pytest.mark.parametrize("name", ["roomId", "userId", "digitalHumanId"])
@pytest.mark.parametrize("unseen", ["\x1b[2J", "\r\n", "\0", "\u2028", "\u202e", "\x9b", "\u200b"])
@shared
async def test_ids_are_visible(shared_gateway: RunningGateway, name: str, unseen: str) -> None:
    answer = await shared_gateway.client.post(
        "/api/digital-human/create-task",
        json={"roomId": "room", "streamId": "stream", name: f"a{unseen}b"},
    )
    assert (answer.status_code, answer.json()["reason"]) == (400, "INVALID_REQUEST")
    assert answer.json()["violations"][0] == {
        "field": name,
        "rule": "visible",
        "description": "must not hold control characters",
    }
    assert not shared_gateway.tasks.creates


@shared
async def test_a_viewer_has_a_visible_name(shared_gateway: RunningGateway) -> None:
    answer = await shared_gateway.client.get("/api/token", params={"userId": "a\x1b[2Jb"})
    assert (answer.status_code, answer.json()["reason"]) == (400, "INVALID_REQUEST")
    assert not shared_gateway.avatars.tokens


@pytest.mark.parametrize("piece", [1 << 20, 4_096])
@shared
async def test_a_body_of_many_values_is_refused_unparsed(
    shared_gateway: RunningGateway, piece: int
) -> None:
    # It is no JSON, which nobody finds out.
    body = b'{"x":[' + b'{"a":[]},' * 76_000

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), piece):
            yield body[at : at + piece]

    answer = await shared_gateway.client.post(
        "/api/digital-human/create-task",
        content=pieces(),
        headers={"content-type": "application/json"},
    )
    [violation] = answer.json()["violations"]
    assert (answer.status_code, violation["field"], violation["rule"]) == (400, "body", "max_items")
