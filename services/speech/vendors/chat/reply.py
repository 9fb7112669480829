"""A reply put together from the chunks of its answer: what is said, called and used."""

from collections.abc import Collection, Iterator

from services.speech.answers import has_words
from services.speech.ports.chat import ChatUsage, ToolCall
from services.speech.vendors.chat.calls import PartialCalls
from services.speech.vendors.chat.chunks import Chunk
from services.speech.vendors.chat.markup import Habit, Markup
from services.speech.vendors.chat.written_calls import WrittenCalls, written_calls

TOO_LONG = frozenset(("length", "max_tokens", "model_length", "max_output_tokens", "token_limit"))
FILTERED = frozenset(
    ("content_filter", "contentfilter", "sensitive", "safety", "recitation", "blocklist", "spii",
     "prohibited_content", "guardrail_intervened", "moderation", "refusal")
)  # fmt: skip


class WrittenReply:
    """Assembles a reply from the chunks of its answer.

    Calls count only if the model was given tools; those in its text only if it makes no others, and
    only of `tool_names`.
    """

    def __init__(self, habit: Habit, *, tool_names: Collection[str]) -> None:
        self.finish_reason = ""
        self.refusal = ""
        self.has_words = False
        self._markup = Markup(habit)
        self._written = ""
        self._has_deltas = False
        self.usage: ChatUsage | None = None
        self._calls = PartialCalls()
        self._tool_names = tool_names
        self._has_reasoning = False

    @property
    def is_over(self) -> bool:
        """Whether the rest can be ignored: some vendors never end their stream."""
        if self.finish_reason:
            return True
        if self._markup.call_text and self._tool_names:
            # The call is written after what shows that it is one.
            return self._written_calls.is_over and not self._markup.is_held
        return self._markup.is_over

    @property
    def has_written_call(self) -> bool:
        """Whether the text holds a whole call; the vendor may still not say that it is over."""
        return bool(self._tool_names and self._written_calls.calls) and not self._markup.is_held

    @property
    def habit(self) -> Habit:
        """What the answer showed about its model."""
        return self._markup.habit

    @property
    def is_answer(self) -> bool:
        """Whether the reply says something or calls a tool."""
        return self.has_words or any(True for _ in self.calls())

    @property
    def silence(self) -> str:
        """Why the reply has no words."""
        if self.refusal:
            return "the model refuses to reply"
        if self._calls or self._markup.call_text:
            return self._unread_call
        is_thinking = self._has_reasoning or self._markup.is_thinking
        where = " while the model thinks" if is_thinking else ""
        if self.finish_reason in FILTERED:
            return "the reply is filtered"
        if self.finish_reason in TOO_LONG:
            return f"the reply is cut by its length{where} before a word"
        return f"the reply ends{where} without a word"

    def take(self, chunk: Chunk) -> str:
        """Return what a chunk adds to the reply."""
        self.finish_reason = chunk.finish_reason
        self.refusal += chunk.refusal
        self.usage = chunk.usage or self.usage
        if chunk.is_whole:
            self._calls.add_whole(chunk.calls)
        else:
            self._calls.add(chunk.calls)
        if chunk.has_reasoning:
            self._has_reasoning = True
            self._markup.trust()
        return self._said(self._markup.feed(self._news(chunk)))

    def finish(self) -> str:
        """Return the text that was held back."""
        return self._said(self._markup.flush(is_cut=self.finish_reason in TOO_LONG))

    def calls(self) -> Iterator[ToolCall]:
        """Yield the calls that the reply makes."""
        if not self._tool_names:
            return
        if not self._calls:
            self._calls.add_whole(self._written_calls.calls)
        yield from self._calls.made()

    @property
    def _written_calls(self) -> WrittenCalls:
        return written_calls(self._markup.call_text, self._tool_names)

    @property
    def _unread_call(self) -> str:
        if not self._tool_names:
            return "the model calls tools that it was not given"
        if self.finish_reason in TOO_LONG:
            return "the reply is cut by its length in a call of a tool"
        return "the model calls tools in no known form"

    def _news(self, chunk: Chunk) -> str:
        """Return the text without what the vendor repeats, at the end or in every chunk."""
        text = chunk.text
        if chunk.is_whole and self._has_deltas:
            return ""
        is_longer = len(text) > len(self._written) or bool(chunk.finish_reason)
        if chunk.is_whole and is_longer and text.startswith(self._written):
            text = text[len(self._written) :]
        self._has_deltas = self._has_deltas or bool(text and not chunk.is_whole)
        self._written += text
        return text

    def _said(self, text: str) -> str:
        self.has_words = self.has_words or has_words(text)
        return text
