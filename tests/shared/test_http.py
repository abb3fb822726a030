"""Why a connection failed, as requests words it and as it is reported."""

import pytest

from helpers.http import innermost_cause

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
