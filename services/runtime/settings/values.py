"""The types of settings: what is validated about each, with messages for operators.

Messages name the rule and never the value, which may be a misplaced secret.
"""

import ipaddress
import json
import re
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

_VISIBLE_ASCII = re.compile(r"[!-~]+")
_HOST_NAME = re.compile(r"[\w-]+(\.[\w-]+)*\.?", re.ASCII)
_ORIGIN = re.compile(r"\*|[a-z][a-z\d+.-]*://[\w.-]+(:\d{1,5})?|[a-z]+://\[[\da-f:.]+\](:\d{1,5})?")
# One or more hosts, or those of the query; the driver knows the rest.
_POSTGRES_URL = re.compile(r"postgres(ql)?://[!-~]+")
ALL_ADDRESSES = "dns:///"
"""Begins a target that stands for all addresses of a name."""
_QUOTES = "\"'`“”‘’"
# What clients of such an API append to its address.
_ENDPOINTS = (
    *("/chat", "/completions", "/audio", "/audio/speech"),
    *("/audio/transcriptions", "/audio/translations"),
)


def check_text(text: str) -> str:
    """Return a value unchanged; raises ValueError for leftovers of copying."""
    if not text.isprintable():
        raise ValueError("must be one line of printable characters")
    bare = text.strip()
    if bare and (bare[0] in _QUOTES or bare[-1] in _QUOTES):
        raise ValueError("must not begin or end with a quotation mark")
    return text


def split_list(text: str) -> tuple[str, ...]:
    """Return the items of a comma-separated list without blanks."""
    return tuple(item for part in text.split(",") if (item := part.strip()))


def check_url(url: str, *schemes: str) -> str:
    """Return the URL of a server without a trailing slash; raises ValueError."""
    is_known, parts = _parts(url)
    if not is_known or parts.scheme not in schemes:
        raise ValueError(f"must be like {schemes[-1]}://host or {schemes[-1]}://host:port/path")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or password")
    if "?" in url or "#" in url:
        raise ValueError("must end before any ? or #")
    return url.rstrip("/")


def _parts(url: str) -> tuple[bool, SplitResult]:
    """Return the parts of a URL, and whether they are valid."""
    try:
        parts = urlsplit(url)
        is_whole = parts.port != 0 and not parts.netloc.endswith(":")
    except ValueError:
        return False, SplitResult("", "", "", "", "")
    is_plain = _VISIBLE_ASCII.fullmatch(url) is not None and "\\" not in url
    return is_plain and is_whole and _is_host(parts.hostname or ""), parts


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # Four numbers that are not an address are not a name either.
        return bool(_HOST_NAME.fullmatch(host)) and not re.fullmatch(r"[\d.]+", host)
    return True


def _check_secret(secret: SecretStr) -> SecretStr:
    # It is sent in headers, which allow nothing else.
    if not _VISIBLE_ASCII.fullmatch(secret.get_secret_value()):
        raise ValueError("must be visible ASCII characters without spaces")
    return secret


SECRET_CHARACTERS = 16
"""The shortest secret of our own: of random letters and digits, more than anybody can try out."""


def check_strength(secrets: SecretStr) -> SecretStr:
    """Return one secret, or several separated by commas, unchanged; raises ValueError."""
    if any(len(each) < SECRET_CHARACTERS for each in split_list(secrets.get_secret_value())):
        raise ValueError(f"must be at least {SECRET_CHARACTERS} characters long each")
    return secrets


def _check_secrets(secrets: SecretStr) -> SecretStr:
    text = secrets.get_secret_value()
    items = split_list(text)
    if text and not items:
        raise ValueError("must hold at least one, or be unset")
    if not all(map(_VISIBLE_ASCII.fullmatch, items)):
        raise ValueError("must be visible ASCII characters without spaces, separated by commas")
    return secrets


def check_postgres_url(url: SecretStr) -> SecretStr:
    """Return the URL of a PostgreSQL database unchanged; raises ValueError."""
    if not _POSTGRES_URL.fullmatch(url.get_secret_value()):
        raise ValueError("must be like postgresql://user:password@host:port/name")
    return url


def _check_database(database: SecretStr) -> SecretStr:
    text = database.get_secret_value()
    if "://" in text:
        return check_postgres_url(database)
    if not text:
        raise ValueError("must be the path of a file, or like postgresql://user:password@host/name")
    return database


def _check_name(name: str) -> str:
    if not name or name != name.strip():
        raise ValueError("must not be empty, nor begin or end with a space")
    return name


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at an address or a name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_host(host: str) -> str:
    """Return an address to listen on unchanged; raises ValueError."""
    if not _is_host(host):
        raise ValueError("must be an address or a host name, without scheme or port")
    return host


def is_address(address: str) -> bool:
    """Whether a text is like host:port."""
    is_known, parts = _parts(f"//{address}")
    is_bare = parts.netloc == address and "@" not in address
    return is_known and is_bare and parts.port is not None


def _check_address(address: str) -> str:
    if not is_address(address):
        raise ValueError("must be like host:port")
    return address


def _check_targets(targets: str) -> str:
    items = [item.strip() for item in targets.split(",")]
    if not all(is_address(item.removeprefix(ALL_ADDRESSES)) for item in items):
        raise ValueError(
            "must be like host:port, or several of these separated by commas, or dns:///host:port"
            " for all addresses of a name"
        )
    if len(set(items)) < len(items):
        raise ValueError("must name each replica once")
    return ",".join(items)


def _check_api_url(url: str) -> str:
    checked = check_url(url, "http", "https")
    if checked.endswith(_ENDPOINTS):
        raise ValueError("must be the address before /chat/completions or /audio, such as …/v1")
    return checked


def _check_names(names: str) -> str:
    if not all(each.strip() for each in names.split(",")):
        raise ValueError("must be names, separated by single commas")
    return names


def _check_origins(origins: str) -> str:
    if not all(map(_ORIGIN.fullmatch, split_list(origins))):
        raise ValueError("must be like https://host or https://host:port, separated by commas")
    return origins


def _json_object(given: object) -> object:
    """Return the object for the text of a variable."""
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given or "{}")
    except ValueError:
        raise ValueError('must be a JSON object, such as {"a": 1}') from None


Name = Annotated[str, AfterValidator(_check_name)]
"""A name."""
JsonObject = Annotated[dict[str, Any], BeforeValidator(_json_object)]
"""A JSON object, as text or as a table."""
Port = Annotated[int, Field(ge=0, le=65535)]
"""A port to listen on; 0 means any free one."""
Host = Annotated[str, AfterValidator(check_host)]
"""An address or a name to listen on."""
Target = Annotated[str, AfterValidator(_check_address)]
"""One host and port."""
Targets = Annotated[str, AfterValidator(_check_targets)]
"""Where the replicas of another service listen: host:port, several, or dns:///host:port."""
Secret = Annotated[SecretStr, AfterValidator(_check_secret)]
Secrets = Annotated[SecretStr, AfterValidator(_check_secrets)]
"""Several, or none, separated by commas."""
PostgresUrl = Annotated[SecretStr, AfterValidator(check_postgres_url)]
"""The URL of a PostgreSQL database; it may hold a password."""
DatabaseLocation = Annotated[SecretStr, AfterValidator(_check_database)]
"""The path of a file, or the URL of a PostgreSQL database."""
HttpUrl = Annotated[str, AfterValidator(lambda url: check_url(url, "http", "https"))]
SocketUrl = Annotated[str, AfterValidator(lambda url: check_url(url, "ws", "wss"))]
ApiUrl = Annotated[str, AfterValidator(_check_api_url)]
"""The base URL of an OpenAI-compatible API."""
Names = Annotated[str, AfterValidator(_check_names)]
"""At least one, separated by commas."""
Origins = Annotated[str, AfterValidator(_check_origins)]
"""Origins of web pages, separated by commas, or none."""
