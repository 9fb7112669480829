"""The composition of the gateway: its endpoints and middleware, over given services."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from gateway.access.authenticator import Authenticator, Users
from gateway.access.rate_limit import RateLimit
from gateway.backend.catalogue import Catalogue
from gateway.backend.directory import StoredCredentials
from gateway.backend.services import Backend
from gateway.contract.content_type import media_kind
from gateway.contract.preferences import CreateAnswer, TalkAnswer
from gateway.contract.problems import install_problems
from gateway.decoding.decoder import AudioLimits, Decoder
from gateway.live.duplex import DuplexRoutes
from gateway.middleware.access import AccessRules, Guard
from gateway.middleware.body import BodyBounds, BodyLimit
from gateway.middleware.concurrency import Ceiling, Concurrency
from gateway.middleware.context import RequestContext
from gateway.middleware.head import HeadLimit
from gateway.middleware.head_as_get import HeadAsGet
from gateway.middleware.tracing import Traced
from gateway.routes.callbacks import CallbackRoutes
from gateway.routes.config import ConfigRoutes, Deployment
from gateway.routes.history import HistoryRoutes
from gateway.routes.keys import KeyRoutes
from gateway.routes.pages import Pages
from gateway.routes.people import PeopleRoutes
from gateway.routes.probes import ProbeRoutes
from gateway.routes.talk import TalkRoutes
from gateway.routes.tasks import TaskRoutes
from gateway.routes.tickets import TicketRoutes
from gateway.routes.usage import UsageRoutes
from gateway.routes.viewers import ViewerRoutes
from gateway.routes.voice import VoiceRoutes
from gateway.routes.webhooks import WebhookRoutes
from gateway.server.drain import Drain, Drained

VERSION = "0.1.0"
DESCRIPTION = (
    "Talk with digital humans. The first four endpoints keep the shapes of the vendor's sample. "
    "Failures are `application/problem+json` with a `reason`."
)
CREATE_PATH = "/api/digital-human/create-task"
TASKS_PATH = "/api/digital-human/tasks/"
UPLOAD_PATH = "/api/digital-human/talk-to-ai"
UPLOADS_AT_ONCE = Ceiling(per_caller=16, total=32)
"""Recordings that are received or decoded; each may lie in a temporary file."""
JSON_BYTES = 64 * 1024
CALL_BYTES = 1024 * 1024
"""All that may be known of a call, each character escaped."""
QUESTION_BYTES = 512 * 1024
"""A question in writing that is too long is refused with its limit in characters up to here."""

LOOPBACK_ORIGIN = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
READABLE_HEADERS = ("Date", "Location", "Preference-Applied", "Retry-After", "X-Request-Id")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """How the gateway serves."""

    access: AccessRules
    keys: Sequence[str] = ()
    """The API keys of the settings."""

    audio: AudioLimits = field(default_factory=AudioLimits)
    max_upload_bytes: int = 25 * 2**20
    uploads_at_once: Ceiling = UPLOADS_AT_ONCE
    create_timeout_s: float = 65.0
    turn_timeout_s: float = 180.0
    create_answer: CreateAnswer = CreateAnswer.ON_AIR
    talk_answer: TalkAnswer = TalkAnswer.FINISHED
    body_idle_s: float = 30.0


def create_app(
    *,
    backend: Backend,
    decoder: Decoder,
    options: GatewayOptions,
    users: Users | None = None,
    drain: Drain | None = None,
) -> FastAPI:
    """Return the application; the caller closes `backend`, `decoder` and `users`.

    All that it serves ends when the `drain` is run.
    """
    drain = drain or Drain()
    rate = RateLimit(options.access.requests_per_second)
    authenticator = Authenticator(
        keys=options.keys, directory=StoredCredentials(backend), users=users
    )
    app = FastAPI(
        title="Parley",
        version=VERSION,
        description=DESCRIPTION,
        # The description is a file.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Its spans record the query of an address, which may hold a key; ours do not.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        middleware=_middleware(options, authenticator, rate, drain),
    )
    for router in _routers(backend, decoder, options, rate, drain):
        # `include_router` would build each route again, with the first request that looks for it.
        app.router.routes.extend(router.routes)
    Pages(title=app.title, needs_key=not options.access.is_open).install(app)
    install_problems(app)
    return app


def _routers(
    backend: Backend, decoder: Decoder, options: GatewayOptions, rate: RateLimit, drain: Drain
) -> Iterable[APIRouter]:
    """Return the endpoints, in the order in which they are described."""
    catalogue = Catalogue(backend)
    deployment = Deployment(
        version=VERSION,
        needs_key=not options.access.is_open,
        max_upload_bytes=options.max_upload_bytes,
        max_audio_s=options.audio.duration_s,
    )
    return (
        TaskRoutes(
            backend=backend,
            catalogue=catalogue,
            create_timeout_s=options.create_timeout_s,
            create_answer=options.create_answer,
        ).router(),
        HistoryRoutes(backend=backend, catalogue=catalogue, drain=drain).router(),
        TalkRoutes(
            backend=backend,
            catalogue=catalogue,
            decoder=decoder,
            uploads=Concurrency(options.uploads_at_once),
            turn_timeout_s=options.turn_timeout_s,
            talk_answer=options.talk_answer,
            drain=drain,
        ).router(),
        TicketRoutes(backend=backend).router(),
        KeyRoutes(backend=backend).router(),
        ViewerRoutes(backend=backend).router(),
        UsageRoutes(backend=backend).router(),
        PeopleRoutes(backend=backend).router(),
        WebhookRoutes(backend=backend).router(),
        CallbackRoutes(backend=backend).router(),
        VoiceRoutes(backend=backend, catalogue=catalogue).router(),
        ConfigRoutes(catalogue=catalogue, deployment=deployment).router(),
        ProbeRoutes(backend=backend, drain=drain).router(),
        DuplexRoutes(backend=backend, decoder=decoder, rate=rate, drain=drain).router(),
    )


def _middleware(
    options: GatewayOptions, authenticator: Authenticator, rate: RateLimit, drain: Drain
) -> list[Middleware]:
    """Return the middleware, outermost first."""

    def bounds_of(path: str, content_type: str) -> BodyBounds:
        if path == CREATE_PATH or path.startswith(TASKS_PATH):
            return BodyBounds(byte_count=CALL_BYTES, is_json=True)
        if path != UPLOAD_PATH:
            return BodyBounds(byte_count=JSON_BYTES, is_json=True)
        is_written = media_kind(content_type) == "application/json"
        most = QUESTION_BYTES if is_written else options.max_upload_bytes
        return BodyBounds(byte_count=most, is_json=is_written)

    return [
        Middleware(HeadAsGet),
        Middleware(RequestContext),
        Middleware(Traced),
        Middleware(
            CORSMiddleware,
            allow_origins=list(options.access.origins),
            allow_origin_regex=LOOPBACK_ORIGIN if options.access.is_open else None,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=list(READABLE_HEADERS),
            allow_private_network=True,
        ),
        Middleware(HeadLimit),
        Middleware(Guard, rules=options.access, authenticator=authenticator, rate=rate),
        Middleware(Drained, drain=drain),
        Middleware(BodyLimit, bounds_of=bounds_of, idle_s=options.body_idle_s),
    ]
