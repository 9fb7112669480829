"""A proxy of the environment is for calls that leave the network, and is named when it is bad."""

import pytest

from services.runtime.network.proxies import ProxyError, proxy_for

PROXY = "http://proxy.example:3128"
BOTH = {"http_proxy": PROXY, "https_proxy": PROXY}
VENDOR = "https://api.vendor.example/v1"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/v1",
        "http://127.8.9.1:8000",
        "http://localhost:8000/v1",
        "http://models.localhost",
        "http://[::1]:8000",
        "http://[::ffff:127.0.0.1]:8000",
        "http://10.1.2.3/v1",
        "http://192.168.0.7:11434",
        "http://172.20.0.5",
        "http://169.254.1.1",
        "http://[fd12::1]/",
        "http://[fe80::1]/",
        "https://ollama:11434/v1",
        "http://engine:8090",
        "https://host.docker.internal/v1",
        "https://gpu.local./v1",
        "wss://nas.home.arpa",
        "http://0.0.0.0:8000",
    ],
)
def test_what_is_within_the_network_is_called_directly(url: str) -> None:
    assert proxy_for(url, BOTH | {"all_proxy": "socks5://proxy.example"}) is None


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, VENDOR, None),
        ({"https_proxy": PROXY}, VENDOR, PROXY),
        ({"HTTPS_PROXY": PROXY}, VENDOR, PROXY),
        ({"HTTPS_PROXY": "socks5://other.example", "https_proxy": PROXY}, VENDOR, PROXY),
        ({"HTTPS_PROXY": PROXY, "https_proxy": ""}, VENDOR, None),
        ({"https_proxy": PROXY}, "wss://8.8.8.8:443/ws", PROXY),
        ({"http_proxy": PROXY}, VENDOR, None),
        ({"http_proxy": PROXY}, "http://api.vendor.example/v1", PROXY),
        ({"ALL_PROXY": PROXY}, VENDOR, PROXY),
        ({"https_proxy": f" {PROXY} "}, VENDOR, PROXY),
        ({"https_proxy": "proxy:3128"}, VENDOR, "http://proxy:3128"),
        ({"https_proxy": "10.0.0.1:3128"}, VENDOR, "http://10.0.0.1:3128"),
        ({"https_proxy": "http://me:pass%40@proxy/"}, VENDOR, "http://me:pass%40@proxy/"),
        ({"https_proxy": "https://[2001:db8::1]:3128"}, VENDOR, "https://[2001:db8::1]:3128"),
        (BOTH | {"no_proxy": "vendor.example"}, VENDOR, None),
        (BOTH | {"NO_PROXY": "localhost, .vendor.example"}, VENDOR, None),
        (BOTH | {"no_proxy": "*"}, VENDOR, None),
        (BOTH | {"no_proxy": "other.example,example"}, "https://vendor.test.org", PROXY),
        # What another call would take is not looked at.
        ({"http_proxy": "foo bar", "https_proxy": PROXY}, VENDOR, PROXY),
        ({"all_proxy": "socks5://proxy.example", "https_proxy": PROXY}, VENDOR, PROXY),
        ({"all_proxy": "socks5://proxy.example", "no_proxy": "vendor.example"}, VENDOR, None),
    ],
)
def test_others_are_called_as_the_environment_says(
    environment: dict[str, str], url: str, proxy: str | None
) -> None:
    assert proxy_for(url, environment) == proxy


@pytest.mark.parametrize(
    "proxy",
    [
        "socks5://hush.example:1080",
        "socks5h://hush.example",
        "socks4://hush.example",
        "ftp://hush.example",
        "hush",
        "http://",
        "http://hush word:3128",
        "http://hush:port",
        "http://hush:0",
        "http://hush:70000",
        "http://hush:3128/path",
        "http://[hush:3128",
        "http://me@you@hush:3128",
        "http:/hush:3128",
        "//hush:3128",
        "'http://hush:3128'",
    ],
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_that_cannot_be_used_is_named(name: str, proxy: str) -> None:
    with pytest.raises(ProxyError, match=f"^{name}: ") as caught:
        proxy_for(VENDOR, {name: proxy})
    assert "hush" not in str(caught.value)
