"""Answers of vendors: every shape that was seen of them, made here, and what each comes to."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import av
import httpx
import numpy as np
import numpy.typing as npt

Cut = TypeVar("Cut", str, bytes)

REPLY = "We open at nine and close at eight."
THOUGHT = "The visitor asks for the opening hours. I look into the facts: 9 < 20 o'clock."
SSE = "text/event-stream"
JSON = "application/json"
DONE = b"data: [DONE]\n\n"
STOP = {"delta": {}, "finish_reason": "stop"}


def sse(document: object, name: str = "") -> bytes:
    """Return a server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(document, ensure_ascii=False)}\n\n".encode()


def stream(*choices: dict[str, Any], end: bytes = DONE) -> bytes:
    """Return a stream of events with one choice each."""
    return b"".join(sse({"choices": [{"index": 0, **each}]}) for each in choices) + end


def deltas(*contents: object, finish: str | None = "stop", end: bytes = DONE) -> bytes:
    """Return a stream that says these contents and finishes."""
    said = [{"delta": {"content": each}, "finish_reason": None} for each in contents]
    last: dict[str, Any] = {"delta": {}, "finish_reason": finish}
    return stream({"delta": {"role": "assistant", "content": ""}}, *said, last, end=end)


def words(text: str) -> list[str]:
    """Return a text as the tokens of a model."""
    return [f"{each} " for each in text.split(" ")[:-1]] + [text.split(" ")[-1]]


def letters(text: str) -> list[str]:
    """Return a text in the smallest pieces."""
    return list(text)


def text_part(text: str, kind: str = "text") -> dict[str, str]:
    """Return a part of a content."""
    return {"type": kind, "text": text}


MARKED = {
    "think": f"<think>\n{THOUGHT}\n</think>\n\n{REPLY}",
    "upper case, attributes": f'<THINKING effort="high">{THOUGHT}</Thinking>\n{REPLY}',
    "thought": f"<thought>{THOUGHT}</thought>{REPLY}",
    "reasoning": f"<reasoning>{THOUGHT}</reasoning> {REPLY}",
    "namespace": f"<seed:think>{THOUGHT}</seed:think>{REPLY}",
    "in brackets": f"[THINK]{THOUGHT}[/THINK]{REPLY}",
    "in triangles": f"◁think▷{THOUGHT}◁/think▷{REPLY}",
    "two channels": f"<|channel|>analysis<|message|>{THOUGHT}<|end|>"
    f"<|start|>assistant<|channel|>final<|message|>{REPLY}<|return|>",
    "three channels": f"<|start|>assistant<|channel|>analysis<|message|>{THOUGHT}<|end|>"
    "<|start|>assistant<|channel|>commentary to=functions.hours <|constrain|>json<|message|>{}"
    f"<|end|><|start|>assistant<|channel|>final<|message|>{REPLY}<|end|>",
    "channels whose tokens are lost": f"analysis{THOUGHT}assistantfinal{REPLY}",
    "a header with a middle": f"<|im_assistant|>assistant<|im_middle|>{REPLY}<|im_end|>",
    "a thought's channel": f"<|channel>thought\n{THOUGHT}<channel|>{REPLY}<turn|>",
    "nested": f"<think>{THOUGHT}<think>Or not?</think>{THOUGHT}</think>{REPLY}",
    "begun twice": f"<think>\n<think>\n{THOUGHT}</think>{REPLY}",
    "begun in the prompt": f"{THOUGHT}\n</think>\n\n{REPLY}",
    "begun in the prompt, musing": f"Okay, so the user wants hours. Well.\n</think>{REPLY}",
    "nothing thought": f"<think>\n\n</think>\n\n{REPLY}",
    "an empty tag": f"<think/>{REPLY}",
    "between words": f"We open <think>{THOUGHT}</think>at nine and close at eight.",
    "an answer's tags": f"<think>{THOUGHT}</think><answer>{REPLY}</answer>",
    "a header": f"<|im_start|>assistant\n{REPLY}<|im_end|>",
    "a long header": f"<|start_header_id|>assistant<|end_header_id|>\n\n{REPLY}<|eot_id|>",
    "a turn": f"<start_of_turn>model\n{REPLY}<end_of_turn>",
    "wide bars": f"<｜begin▁of▁sentence｜><｜Assistant｜>{REPLY}<｜end▁of▁sentence｜>",
    "an instruction's end": f" [/INST] {REPLY}</s>",
    "a role": f"<|assistant|>\n{REPLY}<|endoftext|>",
    "a token that was cut off": f"{REPLY}<|im_en",
    "the other side's turn": f"{REPLY}<|im_end|>\n<|im_start|>user\nThanks!<|im_end|>",
    "what follows the end": f"{REPLY}<|endoftext|>Human: and on Sundays?",
    "another instruction": f"{REPLY}</s>[INST] Thanks! [/INST] You are welcome.",
    "a monologue": f"<inner_monologue>{THOUGHT}</inner_monologue>{REPLY}",
    "a plan": f"<planning>{THOUGHT}</planning>{REPLY}",
    "escaped": f"&lt;think&gt;{THOUGHT}&lt;/think&gt;{REPLY}",
    "in a prefix": f"<|inner_prefix|>{THOUGHT}<|inner_suffix|>{REPLY}",
    "in unused tokens": f"<unused94>thought\n{THOUGHT}<unused95>{REPLY}",
    "in details": f'<details type="reasoning" done="true">\n{THOUGHT}</details>\n{REPLY}',
    "a solution": f"<|begin_of_thought|>{THOUGHT}<|end_of_thought|><solution>{REPLY}</solution>",
    "a header that starts": f"<|header_start|>assistant<|header_end|>\n\n{REPLY}<|eot|>"
    "<|header_start|>user<|header_end|>Thanks!",
    "bars in brackets": f"[|assistant|]{REPLY}[|endofturn|]\n[|user|]Thanks!",
    "a role in a tag": f"<role>ASSISTANT</role>{REPLY}<|role_end|>",
    "brackets that turn": f"]~b]ai\n{REPLY}[e~[\n]~b]user",
    "an utterance's end": f"{REPLY}<end_of_utterance>\nUser: thanks",
    "a script": f"### Response:\n{REPLY}\n\n### Human:\nThanks!",
    "a label": f"Assistant: {REPLY}\n\nHuman: Thanks!",
    "a token of no use": f"{REPLY}<reserved_106>",
    "a call with a type": f'{REPLY}\n{{"type": "function", "name": "hours", "parameters": {{}}}}',
    "calls in a member": f'{REPLY}\n{{"tool_calls": [{{"name": "hours"}}]}}',
    "a call's prefix": f'{REPLY} functools[{{"name": "hours", "arguments": {{}}}}]',
    "an action": f"{REPLY}\nAction: hours\nAction Input: {{}}",
    "code of a tool": f"{REPLY}\n```tool_code\nprint(hours())\n```",
    "an invocation": f'{REPLY}<invoke name="hours"></invoke>',
    "a call after words": f'{REPLY}<tool_call>{{"name": "hours"}}</tool_call>',
}
"""What a model wrote whose reply is `REPLY`."""

CHAT_REPLIES: dict[str, tuple[str, bytes]] = {
    **{f"{name}, by words": (SSE, deltas(*words(text))) for name, text in MARKED.items()},
    **{f"{name}, by letters": (SSE, deltas(*letters(text))) for name, text in MARKED.items()},
    "parts": (
        SSE,
        deltas(
            [{"type": "thinking", "thinking": [text_part(THOUGHT)]}],
            [text_part("We open at nine ")],
            [text_part("and close ", "output_text"), {"type": "reasoning", "text": THOUGHT}],
            text_part("at eight."),
        ),
    ),
    "parts of the first kind": (SSE, deltas([{"type": "text", "text": {"value": REPLY}}])),
    "texts in a list": (SSE, deltas(["We open at nine ", "and close at eight."])),
    "reasoning apart": (
        SSE,
        stream(
            {"delta": {"reasoning_content": THOUGHT, "content": None}},
            {"delta": {"reasoning": THOUGHT, "content": ""}},
            {"delta": {"content": REPLY}, "finish_reason": "stop"},
        ),
    ),
    "messages": (
        SSE,
        stream(*({"message": {"content": each}} for each in words(REPLY)), STOP),
    ),
    "messages that grow": (
        SSE,
        stream({"message": {"content": REPLY[:9]}}, {"message": {"content": REPLY}}, STOP),
    ),
    "the whole again": (
        SSE,
        stream(
            *({"delta": {"content": each}} for each in words(REPLY)),
            {"message": {"role": "assistant", "content": REPLY}, "finish_reason": "stop"},
        ),
    ),
    "a completion's text": (
        SSE,
        stream(*({"text": each} for each in words(REPLY)), {"text": "", "finish_reason": "stop"}),
    ),
    "one document": (
        JSON,
        json.dumps(
            {"choices": [{"message": {"content": REPLY}, "finish_reason": "stop"}], "error": None},
            indent=2,
        ).encode(),
    ),
    "one document with a byte order mark": (
        JSON,
        b"\xef\xbb\xbf" + json.dumps({"choices": [{"message": {"content": REPLY}}]}).encode(),
    ),
    "one document in a stream": (
        SSE,
        b"\n " + json.dumps({"choices": [{"message": {"content": REPLY}}]}).encode(),
    ),
    "a line each": (
        "application/x-ndjson",
        b"".join(
            json.dumps({"message": {"content": each}, "done": False}).encode() + b"\n"
            for each in words(REPLY)
        ),
    ),
    "a finish with the last word": (
        SSE,
        stream({"delta": {"content": REPLY}, "finish_reason": "stop"}, end=b""),
    ),
    "finish reasons that are none": (
        SSE,
        stream(
            *({"delta": {"content": each}, "finish_reason": "null"} for each in words(REPLY)),
            {"delta": {"content": ""}, "finish_reason": ""},
            STOP,
        ),
    ),
    "cut by its length": (SSE, deltas(*words(REPLY), finish="length")),
    "filtered after words": (SSE, deltas(*words(REPLY), finish="content_filter")),
    "no error, and a status": (
        SSE,
        sse(
            {
                "choices": [{"delta": {"content": REPLY}, "finish_reason": "stop"}],
                "error": None,
                "code": 0,
                "base_resp": {"status_code": 0, "status_msg": "success"},
            }
        ),
    ),
    "signs of life": (
        SSE,
        b": alive\n\ndata:\n\nevent: ping\ndata: {}\n\nretry: 9\n\n" + deltas(*words(REPLY)),
    ),
    "two replies, mixed": (
        SSE,
        b"".join(
            sse({"choices": [{"index": index, "delta": {"content": each}}]})
            for each in words(REPLY)
            for index in (1, 0)
        )
        + sse({"choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}]})
        + DONE,
    ),
    "two replies in an event": (
        SSE,
        sse(
            {
                "choices": [
                    {"index": 1, "delta": {"content": "No."}},
                    {"index": 0, "delta": {"content": REPLY}, "finish_reason": "stop"},
                ]
            }
        ),
    ),
    "no choice at first": (SSE, sse({"choices": [None]}) + deltas(*words(REPLY))),
    "signs of life in words": (
        SSE,
        b"event: keep-alive\ndata: still here\n\n" + deltas(*words(REPLY)),
    ),
    "a quoted end": (SSE, stream({"delta": {"content": REPLY}}, end=b'data: "[DONE]"\n\n')),
    "no blank lines": (SSE, deltas(*words(REPLY)).replace(b"\n\n", b"\n")),
    "a document over two lines": (
        SSE,
        b'data: {"choices":\ndata: [{"delta": {"content": "' + REPLY.encode() + b'"}}]}\n\n' + DONE,
    ),
    "a byte order mark, lone carriage returns": (
        SSE,
        b"\xef\xbb\xbf" + deltas(*words(REPLY)).replace(b"\n", b"\r"),
    ),
}
"""Media types and bodies whose reply is `REPLY`."""

CHAT_FAILURES: dict[str, tuple[str, bytes]] = {
    "nothing": (SSE, b""),
    "only an end": (SSE, DONE),
    "an empty stop": (SSE, deltas()),
    "blanks": (SSE, deltas(" ", "\n\n", "…")),
    "a filter": (SSE, deltas(finish="content_filter")),
    "a length": (SSE, deltas(finish="length")),
    "thinking that never ends": (SSE, deltas(*words(f"<think>{THOUGHT}"), finish="length")),
    "thinking that stops": (SSE, deltas(*words(f"<think>{THOUGHT}"))),
    "thinking begun in the prompt, cut": (SSE, deltas(*words(THOUGHT), finish="length")),
    "thinking in a channel": (SSE, deltas(f"<|channel|>analysis<|message|>{THOUGHT}<|end|>")),
    "only thinking, apart": (
        SSE,
        stream({"delta": {"reasoning_content": THOUGHT}}, {"finish_reason": "length"}),
    ),
    "only a thinking part": (SSE, deltas([{"type": "thinking", "thinking": THOUGHT}])),
    "only tokens": (SSE, deltas("<|im_start|>assistant\n", "<|im_", "end|>")),
    "only calls of tools": (
        SSE,
        stream(
            {"delta": {"tool_calls": [{"index": 0, "function": {"name": "hours"}}]}},
            {"delta": {}, "finish_reason": "tool_calls"},
        ),
    ),
    "a call in the text": (SSE, deltas('<tool_call>{"name": "hours"}', "</tool_call>")),
    "a call with a token": (SSE, deltas('<|python_tag|>{"name": "hours"}')),
    "a call by a function": (SSE, deltas("<function=hours>{}</function>")),
    "a call with wide bars": (SSE, deltas("<｜tool▁calls▁begin｜>function hours")),
    "a refusal": (SSE, stream({"delta": {"refusal": "I can't help with that."}}, STOP)),
    "a refusal in parts": (SSE, deltas([{"type": "refusal", "refusal": "I can't."}])),
    "an error": (SSE, sse({"error": {"message": "overloaded", "code": 503}}) + DONE),
    "an error's text": (SSE, sse({"error": "overloaded"})),
    "an error's event": (SSE, sse({"message": "overloaded"}, name="error")),
    "an error's event in words": (SSE, b"event: error\ndata: overloaded\n\n"),
    "a code and a message": (SSE, sse({"code": "Throttled", "message": "overloaded"})),
    "a number and a message": (JSON, b'{"code": 50013, "msg": "overloaded", "data": null}'),
    "a detail": (JSON, b'{"detail": [{"loc": ["body"], "msg": "overloaded"}]}'),
    "a document with an error": (JSON, b'{\n "error": {"message": "overloaded"}\n}\n'),
    "a status in a base": (
        JSON,
        b'{"choices": null, "base_resp": {"status_code": 1013, "status_msg": "overloaded"}}',
    ),
    "an object of error": (SSE, sse({"object": "error", "message": "overloaded", "code": 400})),
    "an error in a choice": (
        SSE,
        stream({"delta": {"content": ""}, "error": {"code": 502}, "finish_reason": "error"}),
    ),
    "a filter by another name": (SSE, deltas(finish="SENSITIVE")),
    "a network's error": (SSE, deltas(finish="network_error")),
    "no success": (JSON, b'{"success": false, "errors": [{"message": "overloaded"}]}'),
    "a page": ("text/html", b"<!DOCTYPE html><html><body>Bad gateway</body></html>"),
    "a text": ("text/plain", b"upstream connect error"),
    "an unknown shape": (JSON, b'{"result": {"output": "We open at nine."}}'),
    "a list": (SSE, b"data: [1]\n\n"),
    "a number": (SSE, b"data: 7\n\n"),
    "a document without a bottom": (JSON, b"[" * 3_000),
    "an event without a bottom": (SSE, b"data: " + b"[" * 3_000 + b"\n\n"),
}
"""Media types and bodies that are no reply."""


def tone(rate_hertz: int = 24_000, seconds: float = 0.5) -> npt.NDArray[np.int16]:
    """Return 440 Hz at a quarter of full scale, shape (samples,)."""
    at = np.arange(int(rate_hertz * seconds)) / rate_hertz
    samples: npt.NDArray[np.int16] = (8_000 * np.sin(2 * np.pi * 440 * at)).astype(np.int16)
    return samples


def encoded(format: str, codec: str, rate_hertz: int = 24_000, layout: str = "mono") -> bytes:
    """Return the tone in a container of FFmpeg's."""
    file = io.BytesIO()
    with av.open(file, "w", format=format) as container:
        track = container.add_stream(codec, rate=rate_hertz)
        assert isinstance(track, av.AudioStream)
        track.layout = layout
        samples = tone(rate_hertz)
        channels = track.layout.nb_channels
        frame = av.AudioFrame.from_ndarray(
            np.repeat(samples, channels).reshape(1, -1), format="s16", layout=layout
        )
        frame.sample_rate = rate_hertz
        resampler = av.AudioResampler(track.format.name, layout, rate_hertz)
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(track.encode(part))
        container.mux(track.encode(None))
    return file.getvalue()


def chunk(kind: bytes, content: bytes, length: int | None = None) -> bytes:
    """Return a chunk of a RIFF file, with a length of its own if one is given."""
    size = len(content) if length is None else length
    return kind + size.to_bytes(4, "little") + content + b"\0" * (len(content) % 2)


def wav(*chunks: bytes, magic: bytes = b"RIFF") -> bytes:
    """Return a WAV file of these chunks."""
    content = b"WAVE" + b"".join(chunks)
    return magic + len(content).to_bytes(4, "little") + content


def fmt(tag: int = 1, channels: int = 1, rate_hertz: int = 24_000, bits: int = 16) -> bytes:
    """Return a WAV file's format chunk."""
    frame = channels * bits // 8
    fields = ((tag, 2), (channels, 2), (rate_hertz, 4), (rate_hertz * frame, 4), (frame, 2))
    return chunk(b"fmt ", b"".join(n.to_bytes(size, "little") for n, size in (*fields, (bits, 2))))


def wav_file(
    pcm: bytes, format: bytes | None = None, *before: bytes, length: int | None = None
) -> bytes:
    """Return a WAV file of samples, 24 kHz, mono and 16 bits unless another format is given.

    Chunks `before` stand before them; `length` is told in place of their true one.
    """
    return wav(format or fmt(), *before, chunk(b"data", pcm, length))


def loudest_hertz(pcm: bytes, rate_hertz: int = 24_000) -> float:
    """Return the frequency that is strongest in the middle of a sound."""
    samples = np.frombuffer(pcm, "<i2")[len(pcm) // 8 : len(pcm) // 8 * 3].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate_hertz / len(samples))


class ScriptedBody(httpx.AsyncByteStream):
    """A body in pieces; after them it ends, or hangs."""

    def __init__(self, pieces: Sequence[bytes], *, hangs: bool = False) -> None:
        self._pieces = pieces
        self._hangs = hangs

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        if self._hangs:
            await asyncio.Event().wait()


def in_pieces(whole: Cut, cuts: Iterable[int]) -> list[Cut]:
    """Return a text, or bytes, cut at these places, wherever they are."""
    places = [0, *sorted({each % (len(whole) + 1) for each in cuts}), len(whole)]
    pieces = [whole[start:end] for start, end in pairwise(places)]
    return [each for each in pieces if each]
