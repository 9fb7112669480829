"""Which proxy of the environment a call uses: none to this machine or within its network.

Our own processes call each other directly. Calls to others, mainly vendors, look up their URL here,
so that no library applies the environment by its own rules.
"""

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # not in typeshed

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
NO_PROXY = "NO_PROXY"

# RFC 6761, 6762, 8375, and the name that ICANN keeps for private use.
_INNER_DOMAINS = (".localhost", ".local", ".home.arpa", ".internal")
_SECURE_SCHEMES = ("https", "wss")
_PROXY = re.compile(
    r"https?://(?:[^\s@/]*@)?(?:[\w.-]+|\[[\da-fA-F:.]+\])(?::\d{1,5})?/?", re.ASCII | re.IGNORECASE
)


class ProxyError(Exception):
    """A proxy that a call needs cannot be used; the message names the variable, not its value."""


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """Return the URL of the proxy for calls to a URL, None to call directly.

    Raises ProxyError if the environment names one that is not an HTTP proxy.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not is_outside(host) or _is_excepted(host, parts.port, environment):
        return None
    first = "HTTPS_PROXY" if parts.scheme in _SECURE_SCHEMES else "HTTP_PROXY"
    for name in (first, "ALL_PROXY"):
        if proxy := value_of(name, environment):
            return _checked(name, proxy)
    return None


def is_outside(host: str) -> bool:
    """Whether a host is neither this machine nor in a private network, by its address or name."""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        name = host.rstrip(".").lower()
        return "." in name and not name.endswith(_INNER_DOMAINS)


def value_of(name: str, environment: Mapping[str, str]) -> str:
    """Return the value of a variable; the lower-case name takes precedence."""
    found = (environment[each] for each in (name.lower(), name) if each in environment)
    return next(found, "").strip()


def _is_excepted(host: str, port: int | None, environment: Mapping[str, str]) -> bool:
    place = host if port is None else f"{host}:{port}"
    return bool(proxy_bypass_environment(place, {"no": value_of(NO_PROXY, environment)}))


def _checked(name: str, proxy: str) -> str:
    scheme, mark, _ = proxy.partition("://")
    if mark and scheme.lower() not in ("http", "https"):
        raise ProxyError(f"{name}: proxies of this kind cannot be used, only http:// and https://")
    # As most programs read it, except that a bare word is more likely a mistake than a name.
    address = proxy if mark else f"http://{proxy}"
    if not _PROXY.fullmatch(address) or (not mark and ":" not in proxy):
        raise ProxyError(f"{name}: must be like http://host:port")
    try:
        is_port = urlsplit(address).port != 0
    except ValueError:
        is_port = False
    if not is_port:
        raise ProxyError(f"{name}: the port must be from 1 to 65535")
    return address
