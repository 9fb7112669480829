"""Removes from a language model's text what is not its reply: thinking, calls and control tokens.

Models write all of these into their text when the server does not separate them. A marker may be
split anywhere between two pieces; only what may still become one is held back.
"""

from enum import StrEnum

import regex

from services.speech.answers import has_words
from services.speech.vendors.chat.calls import ARGUMENT_KEYS, NAME_KEYS

# Tags whose content is not spoken, with or without a namespace.
_ASIDE = (
    "(?:[a-z]{2,12}:)?"
    "(?:(?:ant|longcat_)?think|(?:ant)?thinking|thoughts?|reason(?:ing)?|reflection|analysis"
    "|scratchpad|planning|chain_of_thought|cot|rationale|inner_(?:monologue|thoughts?)"
    "|internal(?:_thoughts?)?|tool_(?:response|result))"
)
CALL_TAG = "(?:[a-z]{2,12}:)?(?:(?:longcat_)?tool_calls?|tool_use|function_?calls?|invoke)"
_LT, _GT = "(?:<|&lt;)", "(?:>|&gt;)"
"""Some servers escape what looks like HTML."""
_ATTRIBUTES = r"(?:\s[^<>]{0,200})?"
_WRAPPER = "(?:final_answer|answer|response|final|reply|output|assistant|solution)"
_HEADERS = "start|im_start|start_header_id|start_of_role|header_start"
_LONGER = f"{_HEADERS}|channel|im_user|im_assistant|im_system"
"""Tokens that are markers only with what follows them."""


class _MarkerKind(StrEnum):
    """What a marker does: the names of the groups of `_MARKER`."""

    OPEN = "open"
    """Thinking begins, or what a tool answers."""
    CLOSE = "close"
    """It ends."""
    END_OF_DETAILS = "end_of_details"
    """An element ends that holds thinking or text."""
    CHANNEL = "channel"
    """What follows is the reply if the channel's name says so."""
    ROLE = "role"
    """What follows is by this role."""
    CHANNEL_END = "channel_end"
    """The channel's content ends; where there are no channels, so does the reply."""
    END = "end"
    """The reply ends."""
    CALL = "call"
    """Nothing but tool calls follows."""
    DOCUMENT = "document"
    """So it does if this stands for itself; otherwise, an example does."""
    END_OF_CALL = "end_of_call"
    """The tag of a tool call closes."""
    WRAP = "wrap"
    """A tag around the whole reply opens, if none of the reply stands before."""
    UNWRAP = "unwrap"
    """It closes, if it was opened."""
    NOTHING = "nothing"


# Every repetition is bounded, which bounds what is held back.
_MARKER = regex.compile(
    rf"""
      (?P<open> {_LT}{_ASIDE}{_ATTRIBUTES}(?<!/){_GT} | \[THINK\] | ◁think▷
              | <\|channel>[a-z]{{0,40}} | <unused94>
              | <\|(?:begin_of_thought|START_THINKING|thinking|inner_prefix)\|>
              | <details\s{{1,9}}type="reasoning"{_ATTRIBUTES}> )
    | (?P<close> {_LT}/{_ASIDE}\s{{0,9}}{_GT} | \[/THINK\] | ◁/think▷ | <channel\|>
               | assistantfinal | <unused95>
               | <\|(?:end_of_thought|END_THINKING|/thinking|inner_suffix)\|> )
    | (?P<end_of_call> {_LT}/{CALL_TAG}\s{{0,9}}{_GT} | <\|END_ACTION\|> )
    | (?P<end_of_details> </details> )
    | <\|channel\|>\s{{0,9}}(?P<channel>[a-z]{{1,40}})(?=[^a-z])
    | (?: <\|(?:{_HEADERS})\|>\s{{0,9}} | <start_of_turn> | <\|turn> )
      (?P<role>[a-z]{{1,40}})(?=[^a-z])
      (?:\s{{1,9}}to=[\w.]{{1,80}})? (?:<\|(?:end_header_id|end_of_role|header_end)\|>)? \s{{0,9}}
    | <\|im_(?P<role>user|assistant|system)\|>[^<]{{0,40}}<\|im_middle\|>
    | [<\[][|｜](?P<role>user|assistant|system|observation|human)[|｜][>\]]
    | <role>(?P<role>[a-z]{{1,40}})</role> | \]~b\](?P<role>user|ai|system)
    | (?P<channel_end> <\|end\|> )
    | (?P<call> {_LT}{CALL_TAG}{_ATTRIBUTES}(?<!/){_GT}
              | <[|｜]tool[^<>|｜]{{0,40}}[|｜]> | <\|(?:python_tag|START_ACTION)\|>
              | \[TOOL_CALLS\] | <function= | ```tool_(?:code|calls?)
              | \n\s{{0,9}}action:[^\n]{{1,80}}\n\s{{0,9}}action\ input: )
    | (?P<document> (?:```(?:json)?\s{{0,9}})? (?:(?<!\w)functools)? \[?
                (?: {{\s{{0,9}}"type"\s{{0,9}}:\s{{0,9}}"function"\s{{0,9}},
                  | {{\s{{0,9}}"(?:tool_calls?|function_call)"\s{{0,9}}: ) )
    | (?P<document> (?:```(?:json)?\s{{0,9}})? (?:(?<!\w)functools)? \[?
                \{{\s{{0,9}}"(?:{"|".join(NAME_KEYS)})"\s{{0,9}}:\s{{0,9}}
                "[\w.-]{{1,80}}"\s{{0,9}},\s{{0,9}}
                "(?:{"|".join(ARGUMENT_KEYS)})"\s{{0,9}}: )
    | (?P<end> </s> | <(?:seed:)?eos> | <eot> | <end_of_(?:turn|utterance)> | <turn\|>
             | <｜end▁of▁sentence｜> | \[INST\] | \[\|endofturn\|\] | \[e~\[
             | <\|(?:im_end|eo[tms](?:_id)?|endoftext|end_of_text|endofturn|end_of_turn|return|call
                   |endofresponse|end_response|end_of_turn_token|end_of_sentence|role_end)\|>
             | \n\s{{0,9}}\#{{2,4}}[ ]{{0,3}}(?:human|user|instruction)[ ]{{0,3}}:?[ ]{{0,3}}\n
             | \n[ ]{{0,3}}\n\s{{0,9}}human:\s )
    | (?P<wrap> <{_WRAPPER}>(?=(?-i:\S|\n|[ ][^a-z])) )
    | (?P<unwrap> </{_WRAPPER}> )
    | (?P<nothing> {_LT}(?:{_ASIDE}|{CALL_TAG}){_ATTRIBUTES}/{_GT}
                 | <(?:seed:)?bos> | <s> | <pad> | <unk> | \[/INST\] | <</?SYS>>
                 | <(?:reserved|unused|extra_id|special)_?\d{{1,4}}>
                 | <｜[^<>｜]{{1,40}}｜> | <\|(?!(?:{_LONGER})\|>)[\w/-]{{1,40}}\|> )
    """,
    regex.VERBOSE | regex.IGNORECASE,
)
_BREAK = regex.compile(r"(?:\A|\n|[.!?。！？])[\s*`>]*\Z")
"""What a document follows that stands for itself."""
_BREAK_CHARACTERS = 20
"""How many of the characters before it are looked at."""
_CUT_MARKER = regex.compile(
    r"<[|｜/]|</?th|◁/?t|\[/?[A-Z]{2}"
    r"|\n\s*(?:#{2,4} {0,3}(?:human|user|instruction) {0,3}:?|\n\s*human:)\s*\Z",
    regex.IGNORECASE,
)
"""Only markers begin like this: at the end of a reply, it is one that was cut off."""

_LABEL = regex.compile(
    r"(?:\#{2,4}\s{0,3})?(?:assistant\s?:\s*|response\s?:[^\S\n]*\n\s*)", regex.IGNORECASE
)
"""What models that continue a script write before their reply."""

_SOMEBODY = "(?:user|visitor|customer|guest|caller|client|person|question)"
_MUSING = regex.compile(
    rf"""\s*(?: (?-i:analysis(?=[A-Z])) | hmm | wait,
            | (?:(?:okay|ok|alright|so|now),?\s+){{0,2}}
              (?: (?:the\s+)?{_SOMEBODY}(?:['’]s)?\s+(?:is|was|has|asks?|asked|wants?|says?|said
                                                      |needs?|seems|just|might|may|message|query)\b
                | they\s+(?:ask|want|need|are\s+asking)
                | let\s+me\s+(?:think|see|look|check|recall) | let['’]s\s+(?:think|see|look)
                | (?:i|we)\s+(?:need|should|have|must)\s+to\b | (?:i|we)\s+(?:should|must)\b
                | need\s+to\s | first,\s+(?:i|we|let)\b | looking\s+at\s+the )
            | 嗯|(?:好的?[，,。]?\s*)?(?:用户|访客|顾客|首先|问题是|我(?:需要|应该|得)) )""",
    regex.VERBOSE | regex.IGNORECASE,
)
"""How models begin to think, and hardly ever begin a reply."""

_THINKER = regex.compile(r"\b(?:r1|qwq|thinking|reasoner|reasoning)\b", regex.IGNORECASE)
"""Names of models that are known to think."""


class Habit(StrEnum):
    """Whether a model's text begins with thinking whose opening tag is in its prompt."""

    UNKNOWN = "unknown"
    REPLIES = "replies"
    THINKS = "thinks"


def expected_habit(model: str) -> Habit:
    """Return what a model's name suggests."""
    return Habit.THINKS if _THINKER.search(model) else Habit.UNKNOWN


class Markup:
    """The text of one answer.

    Text of a model that is known to think first is held back until its thinking has ended. While
    nothing is known of the model, this applies to text that begins as thinking does.
    """

    def __init__(self, habit: Habit) -> None:
        self.is_over = False
        """Whether nothing that follows can belong to the reply."""
        self.call_text = ""
        """What the text calls tools by: all from the first marker of a call on."""
        self._habit = habit
        self._is_certain = habit is Habit.REPLIES
        self._held = ""
        self._pending = ""
        self._before = ""
        self._depth = 0
        self._is_aside = False
        self._is_calling = False
        """Whether a call has begun, or the example of one: neither is said."""
        self._is_wrapped = False
        self._has_stray_end = False
        self._has_thought = False
        self._is_begun = False
        self._is_given = False
        self._has_words = False

    @property
    def habit(self) -> Habit:
        """What this answer shows about the model, if it ended well."""
        if self._has_stray_end:
            return Habit.THINKS if self._has_words else self._habit
        return Habit.UNKNOWN if self._habit is Habit.THINKS else Habit.REPLIES

    @property
    def is_held(self) -> bool:
        """Whether what has come so far may turn out to be thinking."""
        return bool(self._held)

    @property
    def is_thinking(self) -> bool:
        """Whether the text ends in something that is not the reply."""
        return self._depth > 0 or self._is_aside or bool(self._held)

    @property
    def _is_unsaid(self) -> bool:
        return self._depth > 0 or self._is_aside or self._is_calling

    def trust(self) -> None:
        """Note that the server separates the thinking: the text holds none."""
        self._is_certain = True

    def feed(self, text: str) -> str:
        """Return the part of the reply that is certain by now."""
        self._pending += text
        if self.call_text:
            self.call_text += text
        said = ""
        while not self.is_over:
            marker = _MARKER.search(self._pending, partial=True)
            if marker is None:
                break
            said += self._say(self._pending[: marker.start()])
            if marker.partial:
                self._pending = self._pending[marker.start() :]
                break
            self._pending = self._pending[marker.end() :]
            said = self._obey(marker, said)
        self._is_given = self._is_given or bool(said)
        return said

    def flush(self, *, is_cut: bool) -> str:
        """Return the rest; text held back as thinking is the reply, unless it was cut off."""
        rest = "" if self.is_over or _CUT_MARKER.match(self._pending) else self._pending
        said = self._say(rest, is_last=True)
        if is_cut:
            return said
        self._is_certain, self._is_calling = True, False
        return said + self._say("", is_last=True)

    def _say(self, text: str, *, is_last: bool = False) -> str:
        if self._is_unsaid:
            self._has_thought = self._has_thought or has_words(text)
            return ""
        self._before = (self._before + text)[-_BREAK_CHARACTERS:]
        text, self._held = self._held + text, ""
        if not self._is_begun:
            text = text.lstrip()
            label = _LABEL.match(text, partial=not is_last)
            if label is not None and label.partial:
                self._held = text
                return ""
            text = text[label.end() :] if label else text
        if not self._is_certain:
            if self._habit is Habit.THINKS or _MUSING.match(text, partial=True):
                self._held = text
                return ""
            self._is_certain = True
        self._is_begun = self._is_begun or bool(text)
        self._has_words = self._has_words or has_words(text)
        return text

    def _obey(self, marker: "regex.Match[str]", said: str) -> str:
        """Act on a marker; return what this piece said before it."""
        match _MarkerKind(str(marker.lastgroup)):
            case _MarkerKind.OPEN if self._depth and not self._has_thought:
                pass  # The prompt opened it, and the model opens it again.
            case _MarkerKind.OPEN:
                self._is_certain, self._has_thought = True, False
                self._depth += 1
            case _MarkerKind.CLOSE | _MarkerKind.END_OF_DETAILS if self._depth:
                self._depth -= 1
            case _MarkerKind.CLOSE:
                # All before it was thinking, but what was returned already cannot be taken back.
                self._held, self._is_certain = "", True
                self._has_stray_end, self._has_words = True, False
                self._is_begun = self._is_given
                self._before = self.call_text = ""
                self._is_calling = False
                return said if self._is_given else ""
            case _MarkerKind.CHANNEL:
                self._is_certain = True
                self._is_aside = not marker["channel"].lower().startswith("final")
            case _MarkerKind.ROLE:
                is_reply = marker["role"].lower() in ("assistant", "model", "ai")
                self.is_over = not is_reply and self._has_words
                self._is_aside = not is_reply
            case _MarkerKind.CHANNEL_END if self._is_aside:
                self._is_aside = False
            case _MarkerKind.END | _MarkerKind.CHANNEL_END:
                self.is_over = self._has_words or self._depth > 0
            case _MarkerKind.CALL | _MarkerKind.DOCUMENT as kind if not self._is_unsaid:
                if kind is _MarkerKind.CALL or _BREAK.search(self._before):
                    self.call_text = marker[0] + self._pending
                self.is_over, self._is_calling = not self._held, True
            case _MarkerKind.WRAP if not (self._is_begun or self._held or self._depth):
                self._is_wrapped = True
            case _MarkerKind.UNWRAP if self._is_wrapped and not self._depth:
                self._is_wrapped = False
            case _MarkerKind.END_OF_DETAILS | _MarkerKind.WRAP | _MarkerKind.UNWRAP:
                said += self._say(marker[0])
            case _MarkerKind.CALL | _MarkerKind.DOCUMENT:
                pass  # The thought of a call, or more of the one before.
            case _MarkerKind.END_OF_CALL | _MarkerKind.NOTHING:
                pass
        return said
