"""The composition of the gateway: every endpoint and what surrounds it, over given services."""

from dataclasses import dataclass, field

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from gateway.backend.catalogue import Catalogue
from gateway.backend.services import Backend
from gateway.contract.openapi import install_openapi
from gateway.contract.preferences import CreateAnswer, TalkAnswer
from gateway.contract.problems import install_problems
from gateway.decoding.decoder import AudioLimits, Decoder
from gateway.live.duplex import duplex_routes
from gateway.middleware.access import AccessRules, Guard, RateLimit
from gateway.middleware.body import BodyLimit
from gateway.middleware.context import RequestContext
from gateway.middleware.tracing import Traced
from gateway.routes.pages import OPENAPI_PATH, install_pages
from gateway.routes.probes import probe_routes
from gateway.routes.talk import talk_routes
from gateway.routes.tasks import task_routes
from gateway.routes.viewers import config_routes, viewer_routes
from gateway.routes.voice import voice_routes
from gateway.server.drain import Drain, Drained

VERSION = "0.1.0"
DESCRIPTION = (
    "Talk with digital humans. The first four endpoints keep the shapes of the vendor's sample. "
    "Failures are `application/problem+json` with a `reason`."
)
UPLOAD_PATH = "/api/digital-human/talk-to-ai"
JSON_BYTES = 64 * 1024
LOOPBACK_ORIGIN = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
READABLE_HEADERS = ("Location", "Preference-Applied", "Retry-After", "X-Request-Id")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """How the gateway serves."""

    access: AccessRules
    audio: AudioLimits = field(default_factory=AudioLimits)
    max_upload_bytes: int = 25 * 2**20
    create_timeout_s: float = 65.0
    turn_timeout_s: float = 180.0
    create_answer: CreateAnswer = CreateAnswer.ON_AIR
    talk_answer: TalkAnswer = TalkAnswer.FINISHED
    body_idle_s: float = 30.0


def create_app(
    *, backend: Backend, decoder: Decoder, options: GatewayOptions, drain: Drain | None = None
) -> FastAPI:
    """Return the application; `backend` and `decoder` stay the caller's to close.

    Whatever it serves ends when the `drain` is run.
    """
    drain = drain or Drain()
    rate = RateLimit(options.access.requests_per_second)
    app = FastAPI(
        title="Parley",
        version=VERSION,
        description=DESCRIPTION,
        openapi_url=OPENAPI_PATH,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Its spans tell the query of an address, which may hold a key; ours do not.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        middleware=_surroundings(options, rate, drain),
    )
    needs_key = bool(options.access.keys)
    catalogue = Catalogue(backend)
    routers = (
        task_routes(
            backend=backend,
            catalogue=catalogue,
            create_timeout_s=options.create_timeout_s,
            create_answer=options.create_answer,
            drain=drain,
        ),
        talk_routes(
            backend=backend,
            catalogue=catalogue,
            decoder=decoder,
            turn_timeout_s=options.turn_timeout_s,
            talk_answer=options.talk_answer,
            drain=drain,
        ),
        viewer_routes(backend=backend),
        voice_routes(backend=backend, catalogue=catalogue),
        config_routes(
            catalogue=catalogue,
            version=VERSION,
            needs_key=needs_key,
            max_upload_bytes=options.max_upload_bytes,
            max_audio_s=options.audio.duration_s,
        ),
        probe_routes(backend=backend),
        duplex_routes(backend=backend, rate=rate, drain=drain),
    )
    for router in routers:
        app.include_router(router)
    install_openapi(app, needs_key=needs_key)
    install_pages(app)
    install_problems(app)
    return app


def _surroundings(options: GatewayOptions, rate: RateLimit, drain: Drain) -> list[Middleware]:
    """Return the layers around the endpoints, outermost first."""

    def limit_of(path: str) -> int:
        return options.max_upload_bytes if path == UPLOAD_PATH else JSON_BYTES

    return [
        Middleware(RequestContext),
        Middleware(Traced),
        Middleware(
            CORSMiddleware,
            allow_origins=list(options.access.origins),
            allow_origin_regex=None if options.access.keys else LOOPBACK_ORIGIN,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=list(READABLE_HEADERS),
        ),
        Middleware(Guard, rules=options.access, rate=rate),
        Middleware(Drained, drain=drain),
        Middleware(BodyLimit, limit_of=limit_of, idle_s=options.body_idle_s),
    ]
