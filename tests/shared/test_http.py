"""Which proxies a request goes through, and why a connection failed, as requests words it and as it is reported."""

import pytest
import requests

from helpers.http import Limits, PinnedHttpAdapter, innermost_cause

AT = "HTTPSConnection(host='misp.example.org', port=443)"
POOL = "HTTPSConnectionPool(host='misp.example.org', port=443): Max retries exceeded with url: /x (Caused by "


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (
            POOL + f"NameResolutionError(\"{AT}: Failed to resolve 'misp.example.org' ([Errno -2] not known)\"))",
            "Failed to resolve 'misp.example.org' ([Errno -2] not known)",
        ),
        (
            POOL + f'NewConnectionError("{AT}: Failed to establish a new connection: [Errno 111] Connection refused"))',
            "Failed to establish a new connection: [Errno 111] Connection refused",
        ),
        (
            POOL + "NewConnectionError('<urllib3.connection.HTTPSConnection object at 0x7f00>: Failed: refused'))",
            "Failed: refused",
        ),
        (
            POOL + f"ConnectTimeoutError(<{AT} at 0x7f00>, 'Connection to misp.example.org timed out. (timeout=15)'))",
            "Connection to misp.example.org timed out. (timeout=15)",
        ),
        (
            POOL + f"ProxyError('Unable to connect to proxy', NewConnectionError(\"{AT}: [Errno 111] refused\")))",
            "[Errno 111] refused",
        ),
        (
            POOL + "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] failed (_ssl.c:1006)')))",
            "[SSL: CERTIFICATE_VERIFY_FAILED] failed (_ssl.c:1006)",
        ),
        (POOL + "ResponseError('too many 500 err…", "too many 500 err…"),
        ("('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))", "Connection reset by peer"),
        (
            "HTTPConnectionPool(host='misp.example.org', port=80): Read timed out. (read timeout=1)",
            "Read timed out. (read timeout=1)",
        ),
        ('MISP said ("no")', 'MISP said ("no")'),
    ],
)
def test_the_innermost_cause_is_returned(words, cause):
    assert innermost_cause(words) == cause


def test_each_origin_has_the_proxies_that_the_environment_had_for_it_at_first(monkeypatch):
    def proxies_for(address):
        return adapter._proxies_for(requests.Request("GET", address).prepare()).get("https")

    adapter = PinnedHttpAdapter(True, None, Limits(1, 1, 1))
    monkeypatch.setenv("https_proxy", "http://one.example.org:3128")
    monkeypatch.setenv("no_proxy", "near.example.org:8443")
    assert proxies_for("https://far.example.org/a") == "http://one.example.org:3128"
    assert proxies_for("https://near.example.org:8443/") is None
    assert proxies_for("https://near.example.org/") == "http://one.example.org:3128"
    monkeypatch.setenv("https_proxy", "http://two.example.org:3128")
    assert proxies_for("https://far.example.org/b") == "http://one.example.org:3128"
