"""Sites whose pages have the widget; what ends in .localhost counts as secure."""

import socket


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


SITE = f"http://shop.localhost:{_free_port()}"
"""A server may listen there: most tests answer in its place."""

FRAMED = "http://frame.localhost"
"""The origin of a frame in a page of the site."""
