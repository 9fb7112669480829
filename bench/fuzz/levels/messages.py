"""Messages of every RPC, made from the descriptors of its request, and bytes that are none."""

import random
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status

from bench.fuzz.findings import Findings
from bench.fuzz.levels.level import Level, Shot
from bench.fuzz.mutation import FLOATS, NUMBERS, mutated, noise, text
from bench.fuzz.target import STREAM, Target
from digitalhuman.access.v1 import access_pb2
from digitalhuman.audit.v1 import audit_pb2
from digitalhuman.avatar.v1 import avatar_pb2
from digitalhuman.speech.v1 import speech_pb2
from digitalhuman.task.v1 import task_pb2
from digitalhuman.webhooks.v1 import webhooks_pb2
from services.runtime.failures.errors import UNWRITTEN

NOBODY = "task_00000000000000000000000000"
ENDING = ("Stop", "Delete", "Yield")
"""Methods that would end what the other inputs are about."""

_FILES = (
    *(("task", each) for each in (task_pb2, access_pb2, webhooks_pb2, audit_pb2)),
    ("speech", speech_pb2),
    ("avatar", avatar_pb2),
)
_ODD_CALLERS = ("acme", "Acme", "a" * 64, "", "-", "a;b", "%00", "../default", "default default")
_WITHIN_S = 0.6
_MOST_ANSWERS = 3
_MOST_SENT = 6
_DEPTH = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One RPC of one process."""

    process: str
    path: str
    request: Descriptor
    is_streaming: bool
    """Whether its requests are a stream."""

    @property
    def may_end(self) -> bool:
        """Whether it ends something."""
        return self.path.rpartition("/")[2].startswith(ENDING)


def methods() -> Iterator[Method]:
    """Yield all RPCs."""
    for process, file in _FILES:
        services: Mapping[str, ServiceDescriptor] = file.DESCRIPTOR.services_by_name
        for service in services.values():
            for method in service.methods:
                yield Method(
                    process=process,
                    path=f"/{service.full_name}/{method.name}",
                    request=method.input_type,
                    is_streaming=method.client_streaming,
                )


METHODS = tuple(methods())


class Maker:
    """Makes messages with some fields as others expect them, and some as nobody does."""

    def __init__(self, draw: random.Random, *, task_id: str) -> None:
        self._draw = draw
        self._expected: Mapping[str, tuple[Any, ...]] = {
            "task_id": (task_id, NOBODY),
            "avatar_id": ("avatar-1", NOBODY),
            "stream_id": (STREAM, "other"),
            "room_id": ("room",),
            "user_id": ("user",),
            "webhook_id": ("whk_1",),
            # Nobody listens there, and no webhook may call it.
            "url": ("https://127.0.0.1:1/hook", "https://example.invalid/hook"),
            "replica_id": ("replica-1",),
            "language_code": ("en", "zh", "en-US"),
            "request_id": ("request-1", "request-2"),
            "page_token": ("", "1"),
            "seconds": (0, 1, 60, 1_800, 1_700_000_000),
            "nanos": (0, 1, 999_999_999),
            "text": ("Hello there.", "你好"),
            "pcm": (bytes(640), bytes(641)),
            "turn_id": (0, 1, 2),
            "sequence": (0, 1, 2),
        }

    def make(self, kind: Descriptor, depth: int = 0) -> Message:
        """Return a message of a kind."""
        made = GetMessageClass(kind)()
        for field in kind.fields:
            if depth > _DEPTH or self._draw.random() < 0.35:
                continue
            self._set(made, field, depth)
        return made

    def _set(self, made: Message, field: FieldDescriptor, depth: int) -> None:
        if field.is_repeated:
            held = getattr(made, field.name)
            count = self._draw.choice((0, 1, 2, 3, 70))
            if field.message_type is None:
                held.extend(self._scalar(field) for _ in range(count))
            elif field.message_type.GetOptions().map_entry:
                self._fill(held, field.message_type, count, depth)
            else:
                held.extend(self.make(field.message_type, depth + 1) for _ in range(min(count, 3)))
        elif field.message_type is not None:
            getattr(made, field.name).CopyFrom(self.make(field.message_type, depth + 1))
        else:
            setattr(made, field.name, self._scalar(field))

    def _fill(self, held: Any, entry: Descriptor, count: int, depth: int) -> None:
        key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
        for _ in range(count):
            name = self._scalar(key)
            if value.message_type is None:
                held[name] = self._scalar(value)
            else:
                held[name].CopyFrom(self.make(value.message_type, depth + 1))

    def _scalar(self, field: FieldDescriptor) -> Any:
        expected = self._expected.get(field.name)
        if expected and self._draw.random() < 0.7:
            return self._draw.choice(expected)
        return self._odd(field)

    def _odd(self, field: FieldDescriptor) -> Any:
        draw = self._draw
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
                return noise(draw)
            case FieldDescriptor.CPPTYPE_STRING:
                return text(draw)
            case FieldDescriptor.CPPTYPE_BOOL:
                return draw.random() < 0.5
            case FieldDescriptor.CPPTYPE_ENUM:
                assert field.enum_type is not None
                return draw.choice((*field.enum_type.values_by_number, 99))
            case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
                return draw.choice(FLOATS)
            case kind:
                low, high = _RANGES[kind]
                return draw.choice([each for each in NUMBERS if low <= each <= high])


_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def request_bytes(method: Method, draw: random.Random, *, task_id: str) -> bytes:
    """Return a request for a method: a message, an altered one, or noise."""
    maker = Maker(draw, task_id=NOBODY if method.may_end else task_id)
    kind = draw.random()
    if kind < 0.05:
        return noise(draw)
    made = maker.make(method.request)
    for oneof in method.request.oneofs:
        # Each of its fields was set in turn, which left the last one.
        field = draw.choice(oneof.fields)
        if field.message_type is not None:
            getattr(made, field.name).CopyFrom(maker.make(field.message_type, 1))
            getattr(made, field.name).SetInParent()
    content = made.SerializePartialToString()
    return mutated(content, draw) if kind < 0.25 else content


def _metadata(target: Target, draw: random.Random) -> list[tuple[str, str]]:
    """The services' own, and now and then an odd tenant or user."""
    metadata = [("authorization", f"Bearer {target.service_token}")]
    if draw.random() < 0.2:
        name = draw.choice(("parley-tenant", "parley-user", "parley-actor", "x-request-id"))
        metadata.append((name, draw.choice(_ODD_CALLERS)))
    return metadata


async def fire(target: Target, shot: Shot, findings: Findings) -> None:
    """Make one call; of a stream, a few messages."""
    draw = shot.draw
    method = draw.choice(METHODS)
    count = draw.randint(1, _MOST_SENT) if method.is_streaming else 1
    sent = [request_bytes(method, draw, task_id=target.task_id) for _ in range(count)]

    async def requests() -> AsyncIterator[bytes]:
        for each in sent:
            yield each

    make: Any = target.channels[method.process].stream_stream(method.path)
    call = make(
        requests(),
        metadata=_metadata(target, draw),
        timeout=_WITHIN_S,
    )
    answers = 0
    try:
        async for _ in call:
            answers += 1
            if answers == _MOST_ANSWERS:
                break
    except grpc.aio.AioRpcError as error:
        if error.details() == UNWRITTEN:
            findings.note(shot.level, "the client failed")
            return
        try:
            status = rpc_status.from_call(error)
        except ValueError as mismatch:
            findings.violated(shot.level, shot.number, f"{method.path} {mismatch}")
            return
        code = int(error.code().value[0])
        words = f"{method.path} {error.details()}"
        findings.judge_code(shot.level, shot.number, code, words, status)
    else:
        findings.note(shot.level, "OK")
    finally:
        call.cancel()


MESSAGES = Level(name="messages", share=0.32, fire=fire)
