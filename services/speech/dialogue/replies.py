"""What a persona replies: a curated answer where it is sure, else the language model's words."""

import asyncio
import functools
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import structlog

from services.speech.dialogue.curated import curated_answer, identity_answer, relevant_facts
from services.speech.dialogue.grounded import grounded
from services.speech.dialogue.grounds import Grounds, Ungrounded, read_ahead
from services.speech.dialogue.knowledge import Knowledge, Match
from services.speech.dialogue.question import Kind, Question
from services.speech.dialogue.scope import is_out_of_scope
from services.speech.personas.catalogue import Fact, Persona, PersonaLanguage, Personas
from services.speech.personas.format import Grounding
from services.speech.ports import (
    ChatMessage,
    ChatModel,
    Embedder,
    Role,
)
from services.speech.providers.answers import worded
from services.speech.providers.failures import provider_failures
from services.speech.streams import closing
from services.speech.telemetry.metrics import ANSWERS, DECLINED_ANSWERS

log = structlog.get_logger(__name__)

UNANSWERED_TURNS = 2
HISTORY_TURNS = 8
HISTORY_CHARACTERS = 2_000
"""What the dialogue so far may take of a small model's context."""

EMBEDDING_S = 5.0

_FACTS_INTRODUCTION = {
    "zh": "可能有用的信息（只用与问题相关的）：",
    "en": "Facts that may help (use only what fits the question):",
}
_UNSURE = {
    "zh": "这个我不太确定。您可以问我，比如：",
    "en": "I am not sure about that. You could ask me, for example: ",
}
_ARRIVAL = {"zh": "（访客来了。）", "en": "(A visitor is here.)"}
"""The user's side of a dialogue that begins with the persona's own words."""

_QUESTION_INTRODUCTION = {"zh": "用户说：", "en": "The visitor says:"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One turn as both sides remember it: what the user said, and what the user heard."""

    user_text: str
    heard_text: str


class History:
    """The last exchanges of a conversation; older ones are forgotten."""

    def __init__(self, exchanges: tuple[Exchange, ...] = ()) -> None:
        self._exchanges = deque(exchanges, maxlen=HISTORY_TURNS)

    def add(self, exchange: Exchange) -> None:
        """Remember an exchange."""
        self._exchanges.append(exchange)

    @property
    def unanswered(self) -> str:
        """What the user said last without hearing any reply to it."""
        words: list[str] = []
        for exchange in reversed(self._exchanges):
            if exchange.heard_text:
                break
            words.insert(0, exchange.user_text)
        return "\n".join(words[-UNANSWERED_TURNS:])

    @property
    def told(self) -> tuple[str, ...]:
        """What the user said, as far as it is remembered."""
        return tuple(exchange.user_text for exchange in self._exchanges if exchange.user_text)

    @property
    def heard(self) -> tuple[str, ...]:
        """What the user heard, as far as it is remembered."""
        return tuple(exchange.heard_text for exchange in self._exchanges if exchange.heard_text)

    def messages(self) -> list[ChatMessage]:
        """Return as much as fits, the latest for certain, as alternating messages."""
        kept: list[Exchange] = []
        size = 0
        for exchange in reversed(self._exchanges):
            size += len(exchange.user_text) + len(exchange.heard_text)
            if kept and size > HISTORY_CHARACTERS:
                break
            kept.insert(0, exchange)
        messages: list[ChatMessage] = []
        for exchange in kept:
            _append(messages, Role.USER, exchange.user_text)
            _append(messages, Role.ASSISTANT, exchange.heard_text)
        return messages


class Dialogue:
    """Continues conversations in the manner of their personas."""

    def __init__(
        self,
        *,
        chat: ChatModel | None,
        knowledge: Mapping[tuple[str, str], Knowledge],
    ) -> None:
        self._chat = chat
        self._knowledge = knowledge

    @classmethod
    async def prepare(
        cls, personas: Personas, *, chat: ChatModel | None, embedder: Embedder | None
    ) -> Self:
        """Index what all personas know; without an embedder the model gets no facts."""
        knowledge = {}
        if embedder is not None:
            for persona in personas.by_id.values():
                for language in persona.languages:
                    key = (persona.persona_id, language.language_code)
                    knowledge[key] = await Knowledge.index(language.knowledge, embedder)
                    if persona.grounding is not Grounding.OFF:
                        read_ahead(map(_told, language.knowledge))
        return cls(chat=chat, knowledge=knowledge)

    async def reply(
        self, user_text: str, *, persona: Persona, language: PersonaLanguage, history: History
    ) -> AsyncIterator[str]:
        """Yield the reply's deltas; raises ServiceError when the model fails."""
        # A question that was cut in two by a pause is looked up as a whole.
        question = Question.read("\n".join(filter(None, (history.unanswered, user_text))))
        matches = await self._find(question.text, (persona.persona_id, language.language_code))
        answer = curated_answer(question, matches)
        if question.kind is Kind.IDENTITY and persona.grounding is not Grounding.OFF:
            answer = identity_answer(language)
        if answer is not None:
            ANSWERS.labels(source="curated").inc()
            yield answer
            return
        if is_out_of_scope(
            question,
            matches,
            grounding=persona.grounding,
            told=history.told,
            heard=history.heard,
        ):
            yield _declined(language, Ungrounded.SCOPE)
            return
        if self._chat is None:
            yield _unsure(language)
            return
        ANSWERS.labels(source="model").inc()
        facts = relevant_facts(matches)
        deltas = self._stream(prompt(user_text, language=language, facts=facts, history=history))
        if persona.grounding is not Grounding.OFF:
            grounds = _grounds(question, matches, persona, language, history)
            deltas = grounded(deltas, grounds, decline=functools.partial(_declined, language))
        async with closing(deltas):
            async for delta in deltas:
                yield delta

    async def _stream(self, messages: Sequence[ChatMessage]) -> AsyncIterator[str]:
        """Yield the model's deltas; raises ServiceError when it fails or is late."""
        assert self._chat is not None  # Checked by the caller alone.
        deltas = worded(self._chat.stream(messages), self._chat.name)
        with provider_failures():
            async with closing(deltas):
                async for delta in deltas:
                    yield delta

    async def _find(self, user_text: str, key: tuple[str, str]) -> tuple[Match, ...]:
        """Return what the persona knows; a late embedder costs the facts, not the reply."""
        if key not in self._knowledge:
            return ()
        try:
            async with asyncio.timeout(EMBEDDING_S):
                return await self._knowledge[key].find(user_text)
        except TimeoutError:
            log.warning("embedder late")
            return ()


def _grounds(
    question: Question,
    matches: Sequence[Match],
    persona: Persona,
    language: PersonaLanguage,
    history: History,
) -> Grounds:
    facts = relevant_facts(matches)
    others = (fact for fact in language.knowledge if fact not in facts)
    paraphrases = {match.fact: match.paraphrases for match in matches}
    return Grounds(
        question=question,
        grounding=persona.grounding,
        facts=(
            *(_told(fact, paraphrases[fact]) for fact in facts),
            language.prompt,
            language.greeting,
            persona.display_name,
        ),
        others=tuple(map(_told, others)),
        told=history.told,
        heard=history.heard,
    )


def _told(fact: Fact, paraphrases: Iterable[str] = ()) -> str:
    """Return what a fact tells, with the words of the question that stand in it otherwise."""
    return "\n".join((*fact.questions, fact.answer, *sorted(paraphrases)))


def _declined(language: PersonaLanguage, cause: Ungrounded) -> str:
    """Return what is said instead of an answer that nothing carries."""
    ANSWERS.labels(source="declined").inc()
    DECLINED_ANSWERS.labels(cause=cause).inc()
    log.info("answer declined", cause=cause)
    return language.unknown


def prompt(
    user_text: str, *, language: PersonaLanguage, facts: tuple[Fact, ...], history: History
) -> list[ChatMessage]:
    """Return the model's messages.

    What stays the same comes first, so that the model's prompt cache holds; the facts, which
    change with every question, stand beside it. After the system's message the user begins and the
    sides alternate, for the templates of many models insist on both.
    """
    messages = [system_message(language)]
    past = history.messages()
    if past and past[0].role is Role.ASSISTANT:
        messages.append(ChatMessage(role=Role.USER, content=_ARRIVAL[_tongue(language)]))
    messages += past
    _append(messages, Role.USER, _question(user_text, _tongue(language), facts))
    return messages


def _unsure(language: PersonaLanguage) -> str:
    """Return what is said where there is neither a sure answer nor a language model."""
    return f"{_UNSURE[_tongue(language)]}{language.sample_question}"


def system_message(language: PersonaLanguage) -> ChatMessage:
    """Return the message that every prompt of a persona in a language begins with."""
    return ChatMessage(role=Role.SYSTEM, content=language.prompt)


def _tongue(language: PersonaLanguage) -> str:
    """Return the language of the words that stand around what was said."""
    return "zh" if language.language_code.startswith("zh") else "en"


def _question(user_text: str, tongue: str, facts: tuple[Fact, ...]) -> str:
    if not facts:
        return user_text
    lines = [f"- {fact.questions[0]} {fact.answer}" for fact in facts]
    return "\n".join(
        (_FACTS_INTRODUCTION[tongue], *lines, _QUESTION_INTRODUCTION[tongue], user_text)
    )


def _append(messages: list[ChatMessage], role: Role, content: str) -> None:
    """Add a message; models insist that the two sides alternate."""
    if not content.strip():
        return
    if messages and messages[-1].role is role:
        content = f"{messages.pop().content}\n{content}"
    messages.append(ChatMessage(role=role, content=content))
