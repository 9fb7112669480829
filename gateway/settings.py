"""The gateway's settings, read from GATEWAY_* environment variables."""

from ipaddress import ip_network
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from gateway.access.users import ALGORITHMS, TokenRules
from gateway.contract.preferences import CreateAnswer, TalkAnswer
from gateway.middleware.hosts import is_loopback, name_alone
from gateway.server.limits import ConnectionLimits
from services.runtime.links import LinkSettings
from services.runtime.network.proxies import is_outside
from services.runtime.security.identities import Identity
from services.runtime.settings.values import (
    Host,
    Names,
    Origins,
    Port,
    Secrets,
    Targets,
    check_strength,
    check_url,
    split_list,
)


class GatewaySettings(LinkSettings):
    """Every setting of the process; the description says what a value must be."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_")
    identity: ClassVar = Identity.GATEWAY

    host: Host = Field("127.0.0.1", description="an address to listen on")
    port: Port = Field(
        8080,
        validation_alias=AliasChoices("GATEWAY_PORT", "PORT"),
        description="the port of HTTP, 0 for any free one",
    )
    metrics_port: Port = Field(
        0, description="another port of metrics, which asks for no key; 0 for none"
    )
    require_credentials: bool = Field(
        False,
        description="whether callers must show credentials even if none are set here: keys made by"
        " `parley keys create`, and tickets",
    )
    jwks: str = Field(
        "",
        description="where an identity provider publishes the keys (JWKS) that sign its users'"
        " tokens: a URL, or a file; none: no such tokens are taken",
    )
    jwt_issuer: str = Field(
        "",
        validate_default=True,
        description="the `iss` of users' tokens; required with GATEWAY_JWKS",
    )
    jwt_audience: str = Field(
        "",
        validate_default=True,
        description="the `aud` of users' tokens; required with GATEWAY_JWKS",
    )
    jwt_algorithms: Names = Field(
        "RS256,ES256",
        description="how users' tokens may be signed, separated by commas; only with public keys",
    )
    jwt_clock_skew_s: int = Field(
        30, ge=0, le=300, description="seconds by which an identity provider's clock may differ"
    )
    jwt_tenant_claim: str = Field(
        "",
        description="the claim of users' tokens that names the tenant; none: all are users of the"
        " default tenant",
    )
    api_keys: Secrets = Field(
        SecretStr(""),
        validate_default=True,
        description="keys that callers must show, of at least 16 characters, separated by commas;"
        " none, nor any other credentials: open, loopback only",
    )
    allowed_origins: Origins = Field(
        "", description="origins of web pages that may call, separated by commas"
    )
    allowed_hosts: str = Field(
        "",
        description="names in Host besides loopback ones that are served without keys, separated by"
        " commas; 10.0.2.2 and 10.0.3.2 are this machine for Android emulators",
    )
    trusted_proxies: str = Field(
        "",
        description="addresses or networks of proxies whose X-Forwarded-For is believed, separated"
        " by commas; callers are distinguished by address",
    )
    max_connections: int = Field(
        4096, ge=16, le=100_000, description="connections held at once, at least 16"
    )
    max_connections_per_address: int = Field(
        512, ge=1, le=100_000, description="of these, for one address that is no trusted proxy"
    )
    task_target: Targets = Field(
        "127.0.0.1:50051",
        description="host:port of the task service; several replicas: separated by"
        " commas, or dns:///host:port",
    )
    speech_target: Targets = Field(
        "127.0.0.1:50052",
        description="host:port of the speech service; several replicas: separated by"
        " commas, or dns:///host:port",
    )
    avatar_target: Targets = Field(
        "127.0.0.1:50053",
        description="host:port of the avatar service; several replicas: separated by"
        " commas, or dns:///host:port",
    )
    max_upload_bytes: int = Field(
        25 * 2**20, ge=2**16, le=2**30, description="bytes of an audio upload, at least 65536"
    )
    requests_per_second: float = Field(
        50, gt=0, le=10_000, description="requests per second and caller; bursts of twice that"
    )
    notice_s: float = Field(
        0,
        ge=0,
        le=60,
        description="seconds that a gateway still serves, though not ready any more, when it is to"
        " end: longer than a balancer takes to notice; 0 where it is notified before",
    )
    create_timeout_s: float = Field(
        65, gt=0, le=600, description="seconds that create-task waits for the avatar to be on air"
    )
    turn_timeout_s: float = Field(
        180, gt=0, le=3600, description="seconds that a turn may take until its reply is spoken"
    )
    create_answer: CreateAnswer = Field(
        CreateAnswer.ON_AIR,
        description="when create-task answers clients that do not say: on-air, or accepted, for"
        " those that wait less than 15 s",
    )
    talk_answer: TalkAnswer = Field(
        TalkAnswer.FINISHED,
        description="when talk-to-ai and say answer clients that do not say: finished, or playing,"
        " for those that wait less than a reply takes",
    )

    @field_validator("api_keys")
    @classmethod
    def _check_api_keys(cls, keys: SecretStr, info: ValidationInfo) -> SecretStr:
        host = str(info.data.get("host", ""))
        given = split_list(keys.get_secret_value())
        is_closed = info.data.get("require_credentials") or info.data.get("jwks")
        if not given and not is_closed and not is_loopback(host):
            raise ValueError(
                f"must be set when GATEWAY_HOST is {host}, because that is not a loopback address"
            )
        return check_strength(keys)

    @field_validator("jwks")
    @classmethod
    def _check_jwks(cls, jwks: str) -> str:
        if "://" not in jwks:
            return jwks
        url = check_url(jwks, "http", "https")
        # Whoever could change the keys on their way could sign anything.
        if url.startswith("http:") and is_outside(urlsplit(url).hostname or ""):
            raise ValueError("must be https outside of the own network")
        return url

    @field_validator("jwt_issuer", "jwt_audience")
    @classmethod
    def _check_named(cls, name: str, info: ValidationInfo) -> str:
        if info.data.get("jwks") and not name:
            raise ValueError("must be set when GATEWAY_JWKS is")
        if name and info.data.get("jwks") == "":
            # Whoever forgot the keys would let everybody in.
            raise ValueError("is of no use without GATEWAY_JWKS")
        return name

    @field_validator("jwt_algorithms")
    @classmethod
    def _check_algorithms(cls, algorithms: str) -> str:
        if not set(split_list(algorithms)) <= set(ALGORITHMS):
            raise ValueError(f"must be some of {', '.join(ALGORITHMS)}")
        return algorithms

    @field_validator("allowed_hosts")
    @classmethod
    def _check_allowed_hosts(cls, names: str) -> str:
        for name in split_list(names):
            try:
                name_alone(name)
            except ValueError:
                raise ValueError(
                    f"must have names or addresses without port and wildcards, and {name} is none"
                ) from None
        return names

    @field_validator("trusted_proxies")
    @classmethod
    def _check_trusted_proxies(cls, proxies: str) -> str:
        try:
            for each in split_list(proxies):
                ip_network(each)
        except ValueError:
            raise ValueError("must be addresses or networks such as 10.0.0.0/8") from None
        return proxies

    @property
    def connections(self) -> ConnectionLimits:
        """What connections may cost."""
        return ConnectionLimits(
            total=self.max_connections,
            per_address=self.max_connections_per_address,
            proxies=tuple(ip_network(each) for each in split_list(self.trusted_proxies)),
        )

    @property
    def hosts(self) -> frozenset[str]:
        """The allowed names one by one."""
        return frozenset(name_alone(name) for name in split_list(self.allowed_hosts))

    def vendor_urls(self) -> tuple[str, ...]:
        """Return the URLs outside our own processes, which may need a proxy."""
        return (self.jwks,) if "://" in self.jwks else ()

    @property
    def is_open(self) -> bool:
        """Whether callers need no credentials."""
        return not (self.accepted_keys or self.jwks or self.require_credentials)

    @property
    def token_rules(self) -> TokenRules:
        """Which users' tokens are good."""
        return TokenRules(
            issuer=self.jwt_issuer,
            audience=self.jwt_audience,
            algorithms=split_list(self.jwt_algorithms),
            clock_skew_s=self.jwt_clock_skew_s,
            tenant_claim=self.jwt_tenant_claim,
        )

    @property
    def accepted_keys(self) -> tuple[str, ...]:
        """The keys of the settings one by one."""
        return split_list(self.api_keys.get_secret_value())

    @property
    def origins(self) -> tuple[str, ...]:
        """The allowed origins one by one."""
        return split_list(self.allowed_origins)
