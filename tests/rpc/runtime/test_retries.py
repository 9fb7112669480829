"""Which failures a channel tries again by the published service config."""

from typing import Any

import grpc
import pytest

from digitalhuman.task.v1 import task_pb2 as pb
from digitalhuman.task.v1 import task_pb2_grpc as rpc
from services.runtime.channel import connected
from services.runtime.errors import ServiceError, from_rpc_error
from services.runtime.reasons import Reason
from services.runtime.serving import ServingOptions, serving


class Failing(rpc.TaskServiceServicer):
    """Fails with one reason and counts the tries."""

    def __init__(self, reason: Reason) -> None:
        self.tries = 0
        self._reason = reason

    async def GetTask(self, request: Any, context: Any) -> pb.GetTaskResponse:
        self.tries += 1
        raise ServiceError(self._reason, "no")


@pytest.mark.parametrize(
    ("reason", "tries"),
    [
        (Reason.DRAINING, 5),
        (Reason.CLOUD_UNREACHABLE, 1),
        (Reason.TASK_NOT_FOUND, 1),
    ],
)
async def test_only_a_replica_that_shuts_down_is_tried_again(reason: Reason, tries: int) -> None:
    servicer = Failing(reason)
    options = ServingOptions(host="127.0.0.1", port=0)
    async with (
        serving(
            options,
            ["digitalhuman.task.v1.TaskService"],
            lambda server: rpc.add_TaskServiceServicer_to_server(servicer, server),
        ) as up,
        connected(up.address) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.TaskServiceStub(channel).GetTask(pb.GetTaskRequest(task_id="task"))
    assert from_rpc_error(caught.value).reason is reason
    assert servicer.tries == tries
