"""Sites whose pages have the widget; what ends in .localhost counts as secure."""

from tests.support.compose import free_ports

[_PORT] = free_ports(1)

SITE = f"http://shop.localhost:{_PORT}"
"""A server may listen there: most tests answer in its place."""

FRAMED = "http://frame.localhost"
"""The origin of a frame in a page of the site."""
