"""What can never talk is refused before anything is ordered; a repeated order has one task."""

import uuid
from typing import Any

import pytest

from digitalhuman.avatar.v1 import avatar_pb2
from services.runtime.failures.errors import ServiceError
from services.runtime.failures.reasons import Reason
from tests.support.gateway_rig import RunningGateway

CREATE = "/api/digital-human/create-task"
ROOM = {"roomId": "room_1", "streamId": "stream_1"}


@pytest.mark.parametrize(
    ("members", "status", "reason", "field"),
    [
        ({"lang": "fr"}, 400, "LANGUAGE_UNSUPPORTED", "lang"),
        ({"lang": "yue-HK", "personaId": "guide"}, 400, "LANGUAGE_UNSUPPORTED", "lang"),
        ({"lang": "zh", "personaId": "mute"}, 400, "LANGUAGE_UNSUPPORTED", "lang"),
        ({"personaId": "nobody"}, 404, "PERSONA_NOT_FOUND", "personaId"),
        ({"personaId": "nobody", "lang": "fr"}, 404, "PERSONA_NOT_FOUND", "personaId"),
        ({"digitalHumanId": "nobody"}, 404, "DIGITAL_HUMAN_NOT_FOUND", "digitalHumanId"),
        # What breaks the contract is said first.
        ({"personaId": "nobody", "lang": "french please"}, 400, "INVALID_REQUEST", "lang"),
    ],
)
@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "an order"}])
async def test_what_can_never_talk_is_not_ordered(
    gateway: RunningGateway,
    members: dict[str, Any],
    status: int,
    reason: str,
    field: str,
    headers: dict[str, str],
) -> None:
    answer = await gateway.client.post(CREATE, json=ROOM | members, headers=headers)
    problem = answer.json()
    assert (answer.status_code, problem["reason"]) == (status, reason)
    assert problem["violations"][0]["field"] == field
    assert problem["detail"].startswith(f"{field}: ")
    assert gateway.tasks.creates == []


@pytest.mark.parametrize("lang", ["", "en", "EN", "en-GB", "zh-Hans-CN"])
async def test_a_region_is_no_other_language(gateway: RunningGateway, lang: str) -> None:
    await gateway.create(lang=lang)
    assert gateway.tasks.creates[0].language_code == lang


async def test_an_order_made_before_is_told_whatever_became_of_its_persona(
    gateway: RunningGateway,
) -> None:
    order = ROOM | {"personaId": "guide"}
    headers = {"idempotency-key": str(uuid.uuid4())}
    made = await gateway.client.post(CREATE, json=order, headers=headers)
    gateway.speech.personas.clear()
    again = await gateway.client.post(CREATE, json=order, headers=headers)
    assert (again.status_code, again.json()["taskId"]) == (200, made.json()["taskId"])
    gateway.script.errors["ListPersonas"] = ServiceError(
        Reason.DEPENDENCY_UNAVAILABLE, "Speech does not answer."
    )
    again = await gateway.client.post(CREATE, json=order, headers=headers)
    assert again.json()["taskId"] == made.json()["taskId"]
    other = await gateway.client.post(CREATE, json=order | {"streamId": "other"}, headers=headers)
    assert other.json()["reason"] == "REQUEST_ID_REUSED"
    fresh = await gateway.client.post(CREATE, json=order, headers={"idempotency-key": "fresh"})
    assert fresh.json()["reason"] == "DEPENDENCY_UNAVAILABLE"
    assert len(gateway.tasks.tasks) == 1


async def test_a_persona_is_shown_by_its_own_person_if_the_account_has_it(
    gateway: RunningGateway,
) -> None:
    gateway.speech.personas[0].digital_human_id = "parley_elin"
    await gateway.create("without")
    assert not gateway.tasks.creates[-1].default_digital_human_id
    config = (await gateway.client.get("/api/config")).json()
    assert config["personas"][0]["digitalHumanId"] == "parley_elin"


async def test_the_caller_s_choice_goes_before_the_persona_s(gateway: RunningGateway) -> None:
    gateway.speech.personas[0].digital_human_id = "parley_elin"
    gateway.avatars.people.append(avatar_pb2.DigitalHuman(digital_human_id="parley_elin"))
    await gateway.create("one")
    assert gateway.tasks.creates[-1].default_digital_human_id == "parley_elin"
    await gateway.create("two", digitalHumanId="parley_mia")
    assert gateway.tasks.creates[-1].digital_human_id == "parley_mia"
    assert not gateway.tasks.creates[-1].default_digital_human_id


async def test_of_a_list_too_long_to_keep_the_cloud_knows_the_rest(
    gateway: RunningGateway,
) -> None:
    gateway.avatars.has_more = True
    await gateway.create(digitalHumanId="far down the list")
    assert gateway.tasks.creates[0].digital_human_id == "far down the list"


@pytest.mark.parametrize("members", [{}, {"digitalHumanId": "parley_elin"}])
async def test_where_the_cloud_lists_nobody_it_judges_the_order_itself(
    gateway: RunningGateway, members: dict[str, str]
) -> None:
    gateway.speech.personas[0].digital_human_id = "parley_elin"
    gateway.script.errors["ListDigitalHumans"] = ServiceError(Reason.CLOUD_CLOCK_SKEW, "Late.")
    await gateway.create(**members)
    assert gateway.tasks.creates[0].digital_human_id == members.get("digitalHumanId", "")
