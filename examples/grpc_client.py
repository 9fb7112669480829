"""Talks with the services by gRPC, with code generated from the protos; see clients/ for others.

pip install grpcio-tools grpcio-status googleapis-common-protos
python -m grpc_tools.protoc -I protos -I third_party --python_out=gen --grpc_python_out=gen \\
  $(find protos third_party/buf -name '*.proto')
eval "$(parley env)"
PYTHONPATH=gen python examples/grpc_client.py "When do you open?"
"""

import asyncio
import os
import secrets
import sys
from collections.abc import Iterator

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from digitalhuman.speech.v1 import speech_pb2, speech_pb2_grpc
from digitalhuman.task.v1 import task_pb2, task_pb2_grpc

METADATA = [("authorization", f"Bearer {os.environ['PARLEY_SERVICE_TOKEN']}")]
TASK = os.environ.get("PARLEY_TASK", "127.0.0.1:50051")
SPEECH = os.environ.get("PARLEY_SPEECH", "127.0.0.1:50052")


async def until_on_air(tasks: task_pb2_grpc.TaskServiceStub, task_id: str) -> None:
    """Watch a task until its digital human can be seen."""
    request = task_pb2.WatchTaskRequest(task_id=task_id, after_sequence=0)
    watch = tasks.WatchTask(request, metadata=METADATA, timeout=60)
    async for message in watch:
        if message.event.state_changed.task.state == task_pb2.TASK_STATE_STREAMING:
            watch.cancel()
            return
    sys.exit("The digital human never came on air.")


def converse(task_id: str, question: str) -> Iterator[speech_pb2.ConverseRequest]:
    """Yield what is sent: the setup, then a question; then the stream is half-closed."""
    yield speech_pb2.ConverseRequest(
        setup=speech_pb2.ConverseSetup(
            task_id=task_id,
            turn_detection=speech_pb2.TURN_DETECTION_MANUAL,
            output=speech_pb2.REPLY_OUTPUT_AVATAR,
        )
    )
    yield speech_pb2.ConverseRequest(text=speech_pb2.ConverseText(text=question))


async def main(question: str) -> None:
    """Put a digital human on air, ask, and stop."""
    async with grpc.aio.insecure_channel(TASK) as one, grpc.aio.insecure_channel(SPEECH) as other:
        tasks = task_pb2_grpc.TaskServiceStub(one)
        speech = speech_pb2_grpc.SpeechServiceStub(other)
        name = secrets.token_hex(8)
        order = task_pb2.CreateTaskRequest(room_id=name, stream_id=name)
        task = (await tasks.CreateTask(order, metadata=METADATA, timeout=30)).task
        try:
            await until_on_air(tasks, task.task_id)
            stream = speech.Converse(
                converse(task.task_id, question), metadata=METADATA, timeout=120
            )
            async for message in stream:
                if message.event.HasField("turn_finished"):
                    print(message.event.turn_finished.heard_text)
                elif message.event.HasField("turn_failed"):
                    sys.exit(f"The turn failed: {message.event.turn_failed.status.message}")
        finally:
            await tasks.StopTask(task_pb2.StopTaskRequest(task_id=task.task_id), metadata=METADATA)


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1]))
    except grpc.aio.AioRpcError as error:
        status, info = rpc_status.from_call(error), error_details_pb2.ErrorInfo()
        reasons = [info.reason for each in (status.details if status else ()) if each.Unpack(info)]
        sys.exit(f"{error.code().name} {' '.join(reasons)}: {error.details()}")
