"""Where a webhook may lead."""

import ipaddress
from urllib.parse import SplitResult, urlsplit

import httpx

from services.runtime.failures.errors import ServiceError, invalid
from services.runtime.network.public_network import PublicNetwork

_LOOPBACK_NAME = "localhost"
_FORM = "must be like https://host/path"


def check_url(url: str, network: PublicNetwork) -> str:
    """Return the URL of a webhook. Raises ServiceError with INVALID_REQUEST.

    Where its name leads is checked anew for every connection.
    """
    parts = _parts(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise _refused("must begin with https://, or with http:// and a loopback address")
    if "@" in parts.netloc:
        raise _refused("must not hold a user or password")
    if "#" in url:
        raise _refused("must not have a fragment")
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == _LOOPBACK_NAME else host)
    except ValueError:
        return url
    if not network.is_allowed(address):
        raise _refused("must lead to a public address, or to one that TASK_WEBHOOK_NETWORKS allows")
    return url


def _parts(url: str) -> SplitResult:
    if not (url.isascii() and url.isprintable() and " " not in url and "\\" not in url):
        raise _refused("must be visible ASCII characters, others percent-encoded")
    try:
        httpx.URL(url)
        parts = urlsplit(url)
        is_whole = parts.port != 0 and bool(parts.hostname)
    except (httpx.InvalidURL, ValueError):
        raise _refused(_FORM) from None
    if not is_whole:
        raise _refused(_FORM)
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == _LOOPBACK_NAME


def _refused(description: str) -> ServiceError:
    return invalid("url", "url", description)
