"""Every answer ends, in time and in size, at the one adapter, whatever comes and however slowly it comes."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from itertools import chain, repeat
from threading import Event

import pytest
import requests

from helpers.http import MIB, AnswerTooLarge, AnswerTooSlow, Limits, PinnedHttpAdapter, session
from sandbox.certificates import server_context
from tests.support.connect_proxy import ConnectProxy
from tests.support.wire_server import WireServer, answer

SMALL = Limits(silence_seconds=10, answer_seconds=300, most_bytes=MIB)
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """A server's TLS, and the file with its CA."""
    ca_file = tmp_path_factory.mktemp("ca") / "ca.pem"
    return server_context(ca_file), str(ca_file)


class PassingTime:
    """A clock that moves by itself: each look at it takes so many seconds."""

    def __init__(self, seconds):
        self.seconds, self.shown = seconds, 0.0

    def __call__(self):
        self.shown += self.seconds
        return self.shown


def get(url, limits=SMALL, verify=True, now=None, proxies=None):
    adapter = PinnedHttpAdapter(verify, proxies or {}, limits, **({"now": now} if now else {}))
    with session(adapter, "test") as http:
        return http.get(url)


def drip(begin, piece):
    """Something that goes on for ever after its beginning."""
    return lambda _asked: chain([begin], repeat(piece))


# --- time --------------------------------------------------------------------------------------------

ENDLESS = {
    "a body": drip(HEAD + b"Content-Length: 99999999999\r\n\r\n", b"x"),
    "a body without a length": drip(HEAD + b"\r\n", b" "),
    "chunks": drip(CHUNKED, b"1\r\nx\r\n"),
    "a chunk's extension": drip(CHUNKED + b"1;", b"x"),
    "chunks with long extensions": drip(CHUNKED, b"1;" + b"x" * 60_000 + b"\r\nx\r\n"),
    "trailers": drip(CHUNKED + b"0\r\n", b"X-A: b\r\n"),
    "a header": drip(HEAD + b"X-A: ", b"b"),
    "a status line": drip(b"HTTP/1.1 200 ", b"O"),
    "a promise to go on": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a gzip without content": drip(
        HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10], b"\x00\x00\x00\xff\xff"
    ),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_an_answer_that_goes_on_for_ever_ends(tls, name):
    """Each read of the socket takes ten minutes by this clock, and none of them is silent."""
    context, ca_file = tls
    with WireServer(ENDLESS[name], context) as server:
        limits = Limits(silence_seconds=10, answer_seconds=3000, most_bytes=512 * MIB)
        with pytest.raises((AnswerTooSlow, requests.RequestException)) as caught:
            get(server.url, limits, ca_file, PassingTime(600))
    assert type(caught.value) is AnswerTooSlow
    assert str(caught.value) == "the answer was not complete after 50 minutes"


def test_the_time_of_an_answer_begins_with_its_first_byte():
    """How long that may take is the longest silence, as it was."""
    times = iter([0, 0, 500, 500, 700, 1000])
    with WireServer(lambda asked: answer(body={"a": 1})) as server:
        limits = Limits(silence_seconds=1000, answer_seconds=300, most_bytes=MIB)
        assert get(server.url, limits, now=lambda: next(times, 1000)).json() == {"a": 1}


def test_the_time_of_a_request_begins_with_itself():
    with WireServer(lambda asked: answer()) as server, pytest.raises(AnswerTooSlow):
        get(server.url, Limits(10, 300, MIB, request_seconds=500), now=PassingTime(501))


def test_silence_is_as_long_as_it_may_be_and_no_longer():
    """A part of the answer has come, and then nothing."""
    let_go = Event()

    def answers(_asked):
        yield HEAD + b"Content-Length: 10\r\n\r\nx"
        let_go.wait(30)

    with WireServer(answers) as server:
        with pytest.raises(requests.ConnectionError, match="timed out"):
            get(server.url, Limits(silence_seconds=0.05, answer_seconds=300, most_bytes=MIB))
        let_go.set()


def test_what_is_waited_for_at_the_end_is_the_end():
    """The answer's time is shorter than the silence: by the real clock, in tenths of a second."""
    let_go = Event()

    def answers(_asked):
        yield HEAD + b"Content-Length: 10\r\n\r\nx"
        let_go.wait(30)

    with WireServer(answers) as server:
        with pytest.raises(AnswerTooSlow):
            get(server.url, Limits(silence_seconds=60, answer_seconds=0.05, most_bytes=MIB))
        let_go.set()


def test_a_proxy_that_drips_its_consent_ends(tls):
    consent = drip(b"HTTP/1.1 200 Connection established\r\nX-A: ", b"b")
    with WireServer(consent) as proxy, pytest.raises(AnswerTooSlow):
        get("https://misp.example.org/", verify=tls[1], now=PassingTime(100), proxies={"https": proxy.url})


def test_what_comes_through_a_proxy_ends(tls):
    context, ca_file = tls
    with (
        WireServer(ENDLESS["a header"], context) as server,
        ConnectProxy(server.port) as proxy,
        pytest.raises(AnswerTooSlow),
    ):
        get(server.url, verify=ca_file, now=PassingTime(100), proxies={"https": proxy.url})


# --- size --------------------------------------------------------------------------------------------


def bomb(encoding, mib):
    """So many MiB of zeros as they travel."""
    bits = {"gzip": 31, "deflate": 15, "deflate without a header": -15}[encoding]
    packer = zlib.compressobj(wbits=bits)
    packed = b"".join(packer.compress(bytes(MIB)) for _ in range(mib)) + packer.flush()
    return answer(body=packed, Content_Encoding=encoding.split()[0])


def chunked_zeros(_asked):
    return chain([CHUNKED], repeat(b"10000\r\n" + bytes(65536) + b"\r\n"))


TOO_LARGE = {
    "a body": lambda _: answer(body=bytes(MIB + 1)),
    "a body without a length": drip(HEAD + b"\r\n", bytes(65536)),
    "chunks": chunked_zeros,
    "gzip": lambda _: bomb("gzip", 64),
    "deflate": lambda _: bomb("deflate", 64),
    "deflate without a header": lambda _: bomb("deflate without a header", 64),
    "gzip in gzip": lambda _: answer(body=gzip.compress(gzip.compress(bytes(64 * MIB))), Content_Encoding="gzip, gzip"),
    "an error": lambda _: answer(500, body=bytes(MIB + 1)),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_an_answer_that_is_too_large_is_not_read_to_its_end(tls, name):
    context, ca_file = tls
    reply = TOO_LARGE[name](None)
    with WireServer(lambda _: reply, context) as server:
        tracemalloc.start()
        with pytest.raises(AnswerTooLarge, match="larger than 1 MiB"):
            get(server.url, verify=ca_file)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 8 * MIB


def test_of_an_answer_that_was_too_large_the_error_keeps_nothing():
    limits = Limits(silence_seconds=10, answer_seconds=300, most_bytes=8 * MIB)
    with WireServer(lambda _: chain([CHUNKED], repeat(b"10000\r\n" + bytes(65536) + b"\r\n"))) as server:
        tracemalloc.start()
        with pytest.raises(AnswerTooLarge) as kept:
            get(server.url, limits)
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    assert kept.value.__traceback__ and held < 2 * MIB


@pytest.mark.parametrize("body", [b"", b"x" * MIB], ids=["nothing", "just as much as may be"])
@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
def test_what_is_not_too_large_is_read_whole(tls, body, encoding):
    context, ca_file = tls
    packed = {"": bytes, "gzip": gzip.compress, "deflate": zlib.compress}[encoding](body)
    headers = {"Content_Encoding": encoding} if encoding else {}
    with WireServer(lambda _: answer(body=packed, **headers), context) as server:
        assert get(server.url, verify=ca_file).content == body


def test_an_answer_that_was_too_large_leaves_no_rest_to_the_next_one(tls):
    answers = iter([answer(body=bytes(2 * MIB)), answer(body={"a": 1})])
    with WireServer(lambda _: next(answers)) as server, session(PinnedHttpAdapter(True, {}, SMALL), "test") as http:
        with pytest.raises(AnswerTooLarge):
            http.get(server.url)
        assert http.get(server.url).json() == {"a": 1}


def test_a_connection_is_used_again():
    with (
        WireServer(lambda _: answer(body={"a": 1})) as server,
        session(PinnedHttpAdapter(True, {}, SMALL), "t") as http,
    ):
        assert [http.get(server.url).json() for _ in range(3)] == [{"a": 1}] * 3
        pools = http.get_adapter(server.url).poolmanager.pools
        (key,) = pools.keys()
        assert pools[key].num_connections == 1


# --- what else an answer may be ----------------------------------------------------------------------

ODD = {
    "no HTTP": b"\x00\xff garbage",
    "a status that is no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "a status of another kind": b"HTTP/1.1 99999 OK\r\n\r\n",
    "nothing": b"",
    "two lengths": HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length that is too long": HEAD + b"Content-Length: 5\r\n\r\na",
    "a line that is too long": HEAD + b"X-A: " + b"b" * 70_000 + b"\r\n\r\n",
    "too many headers": HEAD + b"X-A: b\r\n" * 200 + b"\r\n",
    "a chunk whose size is no number": CHUNKED + b"zz\r\nab\r\n",
    "a chunk cut short": CHUNKED + b"ff\r\nab",
    "gzip that is none": answer(body=b"plain", Content_Encoding="gzip"),
    "gzip cut short": answer(body=gzip.compress(bytes(range(256)))[:20], Content_Encoding="gzip"),
    "an encoding that this Python does not have": answer(body=b"\x0b\x02\x80{}\x03", Content_Encoding="br"),
    "encoded a hundred times": answer(body=b"plain", Content_Encoding=", ".join(["gzip"] * 100)),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_answer_is_an_error_that_requests_knows_or_an_answer(tls, name):
    """Nobody who asks has to know urllib3's errors, http.client's, or zlib's."""
    context, ca_file = tls
    with WireServer(lambda _: iter([ODD[name]]), context) as server:
        try:
            assert isinstance(get(server.url, verify=ca_file).text, str)
        except requests.RequestException as error:
            assert str(error)


def test_a_host_that_no_name_can_have_is_an_error_that_requests_knows():
    """urllib3 says so when it connects, with an error that requests lets through."""
    with pytest.raises(requests.RequestException, match="label"):
        get(f"http://{'a' * 64}.example.org/")


@pytest.mark.parametrize("charset", ["undefined", "idna", "punycode", "utf-7", "utf-16", "\\0", "x" * 1000, "\xff"])
def test_what_an_answer_calls_its_encoding_does_not_matter(charset):
    reply = answer(body={"a": "ö"}, Content_Type=f"text/html; charset={charset}")
    with WireServer(lambda _: reply) as server:
        assert get(server.url).json() == {"a": "ö"}


def test_bytes_that_are_no_text_are_read_all_the_same():
    with WireServer(lambda _: answer(body=b"\xff\xfe\x00" * 100_000, Content_Type="application/x")) as server:
        assert get(server.url).text.startswith("\ufffd")
