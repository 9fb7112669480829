"""One signed call to the cloud: rate limit, deadline, retries, and failures as ServiceError."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import httpx
import structlog
from pydantic import ValidationError
from pydantic.alias_generators import to_snake

from services.avatar.telemetry import CLOUD_CALL_SECONDS, CLOUD_CALLS, CLOUD_WAIT_SECONDS
from services.avatar.vendor.actions import Action, Repeat
from services.avatar.vendor.codes import MEANINGS, UNKNOWN, Code, Retry
from services.avatar.vendor.limits import RateLimitedError, RateLimits, Turn
from services.avatar.vendor.messages import Envelope
from services.avatar.vendor.signature import Credentials, signed_query
from services.runtime.failures.errors import ServiceError, Violation
from services.runtime.failures.reasons import Reason
from services.runtime.network.transport import transport_to
from services.runtime.telemetry.tracing import called, mark_failed

log = structlog.get_logger(__name__)

T = TypeVar("T")

_ID_CHARACTERS = 128
"""How much of the cloud's request id is passed on, as it is not to be trusted."""

_HOLD_S = 1.0
"""How long other actions pause after the cloud has refused a call for its rate."""

_RETRY_AFTER_S: Mapping[int, float] = {Code.RATE_LIMIT: _HOLD_S, Code.TASK_NOT_ON_AIR: 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPatience:
    """How long an attempt may take, how little time makes another one useless, how pauses grow."""

    connect_s: float = 2
    attempt_s: float = 4
    shortest_attempt_s: float = 0.25
    first_pause_s: float = 0.2
    longest_pause_s: float = 2

    def pause_s(self, attempt: int) -> float:
        """Return the jittered pause after an attempt, numbered from 0."""
        longest = min(self.longest_pause_s, self.first_pause_s * 2**attempt)
        return random.uniform(longest / 2, longest)


class CloudRefusedError(ServiceError):
    """The cloud answered with a code other than success.

    `is_in_doubt` says whether it may have acted anyway.
    """

    def __init__(
        self, action: Action, answer: Envelope, *, violations: tuple[Violation, ...] = ()
    ) -> None:
        meaning = MEANINGS.get(answer.code, UNKNOWN)
        super().__init__(
            Reason.INVALID_REQUEST if violations else meaning.reason,
            meaning.message,
            violations=violations,
            retry_after_s=_RETRY_AFTER_S.get(answer.code),
            cloud_action=action,
            cloud_code=str(answer.code),
            cloud_request_id=answer.request_id[:_ID_CHARACTERS],
        )
        self.cloud_code = answer.code
        self.retry = meaning.retry
        self.is_in_doubt = meaning.retry is Retry.BACK_OFF_IF_HARMLESS


class AnswerLostError(ServiceError):
    """The cloud gave no timely or valid answer: it is uncertain whether it acted."""

    cloud_code = None
    is_in_doubt = True

    def __init__(self, action: Action) -> None:
        super().__init__(
            Reason.CLOUD_UNREACHABLE,
            "The digital-human cloud does not answer.",
            cloud_action=action,
        )


class NotReachedError(AnswerLostError):
    """The call certainly did not reach the cloud."""

    is_in_doubt = False


class CloudClient:
    """Makes signed calls; every failure is a ServiceError without secrets or addresses."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        credentials: Credentials,
        limits: RateLimits,
        patience: CallPatience,
    ) -> None:
        self._http = http
        self._credentials = credentials
        self._limits = limits
        self._patience = patience

    async def call(
        self,
        action: Action,
        body: Mapping[str, object],
        *,
        read: Callable[[object], T],
        within_s: float,
    ) -> T:
        """Return what `read` makes of the answer's `Data`.

        Raises the last failure when `within_s` is used up. An answer for which `read` raises
        ValidationError counts as none.
        """
        deadline = time.monotonic() + within_s
        failure: CloudRefusedError | AnswerLostError | None = None
        attempt = 0
        while True:
            try:
                turn = await self._take_turn(action, within_s=deadline - time.monotonic())
            except RateLimitedError as error:
                raise failure or _rate_limited(action, error) from error
            within_s = deadline - time.monotonic()
            if failure is not None and within_s < self._patience.shortest_attempt_s:
                # An answer that comes too late would leave in doubt what is certain now.
                await turn.refund()
                raise failure
            with called(f"cloud {action}") as span:
                try:
                    return await self._attempt(
                        action,
                        body,
                        read=read,
                        within_s=within_s,
                        attempt=attempt,
                    )
                except (CloudRefusedError, AnswerLostError) as error:
                    mark_failed(span, error.reason)
                    if isinstance(error, NotReachedError):
                        await turn.refund()
                    is_cut_short = time.monotonic() >= deadline
                    failure = (is_cut_short and _refusal(failure, action)) or error
            pause_s = self._patience.pause_s(attempt)
            if not _may_repeat(action, failure, attempt) or time.monotonic() + pause_s >= deadline:
                raise failure
            await asyncio.sleep(pause_s)
            attempt += 1

    async def _take_turn(self, action: Action, *, within_s: float) -> Turn:
        began = time.monotonic()
        turn = await self._limits.take(action, within_s=within_s)
        CLOUD_WAIT_SECONDS.labels(action=action).observe(time.monotonic() - began)
        return turn

    async def _attempt(
        self,
        action: Action,
        body: Mapping[str, object],
        *,
        read: Callable[[object], T],
        within_s: float,
        attempt: int,
    ) -> T:
        began = time.monotonic()
        timestamp = int(time.time())  # noqa: TID251  # which the cloud compares with its own
        query = signed_query(self._credentials, action=action, timestamp=timestamp)
        answer: Envelope | None = None
        try:
            async with asyncio.timeout(min(within_s, self._patience.attempt_s)):
                response = await self._http.post("/", params=query, json=dict(body))
            answer = Envelope.model_validate_json(response.content)
            if answer.code == Code.SUCCESS and response.is_success:
                return read(answer.data)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotReachedError(action) from error
        except (httpx.HTTPError, TimeoutError) as error:
            raise AnswerLostError(action) from error
        except ValidationError:  # whose text repeats the answer
            raise AnswerLostError(action) from None
        finally:
            _note(action, answer, attempt=attempt, seconds=time.monotonic() - began)
        if answer.code == Code.SUCCESS:  # by someone who denies it in the status
            raise AnswerLostError(action)
        if not _tells_the_end(action, answer):
            log.warning(
                "cloud refused a call",
                action=action,
                cloud_code=answer.code,
                cloud_message=answer.message[:200],
                cloud_request_id=answer.request_id,
            )
        if answer.code == Code.RATE_LIMIT:
            await self._limits.hold(_HOLD_S)
        raise CloudRefusedError(action, answer, violations=_violations(answer, body))


@asynccontextmanager
async def cloud_client(
    url: str,
    *,
    credentials: Credentials,
    limits: RateLimits,
    patience: CallPatience,
    proxy: str | None = None,
) -> AsyncIterator[CloudClient]:
    """Open a client with its own connections, direct unless `proxy` is given."""
    # The library logs each address at info level, and that holds the signature.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    timeout = httpx.Timeout(patience.attempt_s, connect=patience.connect_s, pool=patience.connect_s)
    transport = transport_to(url, proxy=proxy)
    async with httpx.AsyncClient(base_url=url, transport=transport, timeout=timeout) as http:
        yield CloudClient(http, credentials=credentials, limits=limits, patience=patience)


def _note(action: Action, answer: Envelope | None, *, attempt: int, seconds: float) -> None:
    CLOUD_CALLS.labels(action=action, code=answer.code if answer else "lost").inc()
    CLOUD_CALL_SECONDS.labels(action=action).observe(seconds)
    is_good_look = action.is_look and answer is not None and answer.code == Code.SUCCESS
    tell = log.debug if is_good_look else log.info
    tell(
        "cloud called",
        action=action,
        attempt=attempt,
        cloud_code=answer.code if answer else None,
        cloud_request_id=answer.request_id if answer else None,
        duration_ms=round(seconds * 1000, 1),
    )


def _tells_the_end(action: Action, answer: Envelope) -> bool:
    """Whether the cloud says of a task that was looked at or stopped that it does not run.

    That is an answer, not a refusal: after a restart of the cloud it holds for every earlier task.
    """
    asks = action in (Action.GET_STREAM_TASK_STATUS, Action.STOP_STREAM_TASK)
    return asks and answer.code in (Code.TASK_NOT_FOUND, Code.TASK_STOPPED)


def _rate_limited(action: Action, error: RateLimitedError) -> ServiceError:
    return ServiceError(
        Reason.CLOUD_RATE_LIMITED,
        "More calls of this kind wait than the cloud takes in time.",
        retry_after_s=error.retry_after_s,
        cloud_action=action,
    )


def _refusal(failure: ServiceError | None, action: Action) -> CloudRefusedError | None:
    """Return an earlier refusal, which says more than that time ran out during the next attempt."""
    is_harmless = action.repeat is Repeat.ALWAYS
    return failure if is_harmless and isinstance(failure, CloudRefusedError) else None


def _may_repeat(action: Action, failure: CloudRefusedError | AnswerLostError, attempt: int) -> bool:
    match failure:
        case NotReachedError():
            return True
        case AnswerLostError():
            return action.repeat is Repeat.ALWAYS
        case CloudRefusedError(retry=Retry.BACK_OFF):
            return True
        case CloudRefusedError(retry=Retry.ONCE):
            return attempt == 0
        case CloudRefusedError(retry=Retry.BACK_OFF_IF_HARMLESS):
            return action.repeat is Repeat.ALWAYS
        case _:
            return False


def _violations(answer: Envelope, body: Mapping[str, object]) -> tuple[Violation, ...]:
    """Return the parameter that the cloud's message names, if we sent it."""
    if answer.code != Code.INVALID_PARAMETER:
        return ()
    return tuple(
        Violation(field=to_snake(name), rule="cloud", description="the cloud refuses the value")
        for name in _names(body)
        if name in answer.message
    )


def _names(body: Mapping[str, object]) -> Iterator[str]:
    for name, value in body.items():
        if isinstance(value, Mapping):
            yield from _names(value)
        else:
            yield name
