"""Groups many small messages into few large ones, none too large for gRPC."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from google.protobuf.message import Message

M = TypeVar("M", bound=Message)

BATCH_BYTES = 1 << 19
"""Half of what a service accepts in one message."""


def batches(messages: Iterable[M], *, most: int) -> Iterator[list[M]]:
    """Yield the messages in order, in groups limited in number and, roughly, in bytes."""
    batch: list[M] = []
    size = 0
    for message in messages:
        grown = size + message.ByteSize()
        if batch and (len(batch) >= most or grown > BATCH_BYTES):
            yield batch
            batch, grown = [], message.ByteSize()
        batch.append(message)
        size = grown
    if batch:
        yield batch
