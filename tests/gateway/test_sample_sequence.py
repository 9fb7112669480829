"""The vendor's own sample client, call by call: what it sends and what it reads."""

from tests.support.gateway import SAMPLE_QUESTIONS, RunningGateway


async def test_sample_client_runs_unchanged(gateway: RunningGateway) -> None:
    client = gateway.client
    created = (
        await client.post(
            "/api/digital-human/create-task", json={"roomId": "room_1", "streamId": "stream_1"}
        )
    ).json()
    assert created["success"] is True
    task_id = created["taskId"]
    assert created["state"] == "STREAMING"

    token = (await client.get("/api/token", params={"userId": "user_1"})).json()
    assert token["success"] is True
    assert token["token"] == "04token"

    talked = (await client.post("/api/digital-human/talk-to-ai", json={"taskId": task_id})).json()
    assert talked["success"] is True
    assert talked["message"] == "AI interaction completed"
    assert gateway.speech.texts == [SAMPLE_QUESTIONS["en"]]

    for _ in range(2):
        stopped = await client.post("/api/digital-human/stop-task", json={"taskId": task_id})
        assert stopped.status_code == 200
        assert stopped.json()["success"] is True
        assert stopped.json()["state"] == "STOPPED"


async def test_sample_failure_shape(gateway: RunningGateway) -> None:
    answer = await gateway.client.post("/api/digital-human/stop-task", json={})
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert isinstance(answer.json()["error"], str)
