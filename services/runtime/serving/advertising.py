"""By which address other processes reach a server of ours."""

import ipaddress
import socket

from services.runtime.settings.environment import SettingsError


def advertised_address(given: str | None, *, host: str, port: int, prefix: str) -> str:
    """Return the address to advertise: the given one, else the one that is listened at.

    A server that listens at all addresses advertises the one that the machine's own name stands
    for, as containers are reached by it. Raises SettingsError, in the names that begin with the
    `prefix`, if nobody else could reach that.
    """
    if given:
        return given
    if not _is_unspecified(host):
        return _joined(host, port)
    try:
        own = socket.gethostbyname(socket.gethostname())
    except OSError:
        own = ""
    # Replicas on two machines would take each other for themselves.
    if not own or ipaddress.ip_address(own).is_loopback:
        raise SettingsError(
            f"{prefix}_ADVERTISED_ADDRESS: must be set when {prefix}_HOST is {host}, because this"
            " machine's own name stands for no address that others reach"
        )
    return _joined(own, port)


def _is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
