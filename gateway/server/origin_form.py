"""The target of a request as path and query, whichever form it came in."""

import re

import h11

_ABSOLUTE = re.compile(rb"https?://(?P<host>[^/?]+)(?P<path>[^?]*)(?P<query>.*)", re.IGNORECASE)


def in_origin_form(request: h11.Request) -> h11.Request:
    """Return the request with only path and query as its target.

    Clients that take the server for a proxy send the whole address. Every server has to accept
    that, and the host in it counts instead of the header's (RFC 9112, section 3.2.2).
    """
    match = _ABSOLUTE.fullmatch(request.target)
    if match is None:
        return request
    headers = [(name, value) for name, value in request.headers if name != b"host"]
    return h11.Request(
        method=request.method,
        target=(match["path"] or b"/") + match["query"],
        headers=[(b"host", match["host"]), *headers],
        http_version=request.http_version,
    )
