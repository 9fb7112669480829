"""Sites whose pages have the widget; what ends in .localhost counts as secure."""

SITE = "http://shop.localhost"
FRAMED = "http://frame.localhost"
"""The origin of a frame in a page of the site."""
