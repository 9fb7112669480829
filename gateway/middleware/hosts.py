"""Normalizes host names, as in `Host`, `Origin` and settings, so that they can be compared."""

import ipaddress
import re

# A registered name or an IPv4 address, or an IPv6 address in brackets; then perhaps a port.
HOST = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::\d{0,5})?")
ORIGIN = re.compile(r"https?://(?P<host>[^/?#@\s]+)")


def name_of_host(host: str) -> str | None:
    """Return the name in a `Host` header, in lower case, without port; None when invalid."""
    match = HOST.fullmatch(host)
    return _canonical(match["ipv6"] or match["name"]) if match else None


def name_of_origin(origin: str) -> str | None:
    """Return the name of the host that a page comes from; None when there is none."""
    match = ORIGIN.fullmatch(origin)
    return name_of_host(match["host"]) if match else None


def name_alone(text: str) -> str:
    """Return a name or an address in a setting; raises ValueError for anything else."""
    bare = text.strip()
    if ":" in bare.strip("[]"):
        return str(ipaddress.IPv6Address(bare.strip("[]")))
    name = name_of_host(bare)
    if name is None:
        raise ValueError(f"{bare} is no host name")
    return name


def is_loopback(name: str) -> bool:
    """Return whether only this machine is reached by a name."""
    plain = _canonical(name.strip("[]"))
    if plain == "localhost" or plain.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(plain).is_loopback
    except ValueError:
        return False


def _canonical(name: str) -> str:
    plain = name.lower().removesuffix(".")
    try:
        return str(ipaddress.ip_address(plain))
    except ValueError:
        return plain
