"""Values as Sentinel compares them, or the reason why they are not sent."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from constants import HASH_TYPES, LONGEST_VALUES, UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES, Skip
from helpers.indicators.values import Unsendable, normalise
from tests.support.examples import examples

MD5 = "D41D8CD98F00B204E9800998ECF8427E"


def parts(misp_type, value, *, send_private_and_cidr=False):
    return normalise(misp_type, value, send_private_and_cidr=send_private_and_cidr).parts


def reason(misp_type, value):
    with pytest.raises(Unsendable) as caught:
        normalise(misp_type, value, send_private_and_cidr=False)
    return caught.value.reason


@pytest.mark.parametrize("kind", ["domain", "hostname"])
@pytest.mark.parametrize(
    ("given_value", "sent"),
    [
        ("Evil.Example.COM", "evil.example.com"),
        ("evil.example.com.", "evil.example.com"),
        (".evil.example.com", "evil.example.com"),
        ("  evil.example.com \n", "evil.example.com"),
        ("evil[.]example[dot]com", "evil.example.com"),
        ("evil(.)example(DOT)com", "evil.example.com"),
        ("evil[[.]]example.com", "evil.example.com"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("bücher。example。", "xn--bcher-kva.example"),
        ("_dmarc.bücher.example", "_dmarc.xn--bcher-kva.example"),
        ("例え.example", "xn--r8jz45g.example"),
    ],
)
def test_names_are_lower_case_punycode_without_outer_dots(kind, given_value, sent):
    assert parts(kind, given_value) == (sent,)


ADDRESSES = [
    ("203.0.113.9", "203.0.113.9"),
    ("203[.]0[.]113[.]9", "203.0.113.9"),
    ("203.0.113.9.", "203.0.113.9"),
    ("[2001:DB8::9]", "2001:db8::9"),
    ("2001:db8::", "2001:db8::"),
    ("::ffff:203.0.113.9", "203.0.113.9"),
    ("１９２.0.2.1", "192.0.2.1"),
]


@pytest.mark.parametrize("kind", ["domain", "hostname", "hostname|port"])
@pytest.mark.parametrize(("written", "sent"), ADDRESSES)
def test_an_address_under_a_host_s_type_is_an_address(kind, written, sent):
    port = "|443" if "|" in kind else ""
    value = normalise(kind, written + port, send_private_and_cidr=False)
    assert (value.type, value.parts) == ("ip-dst", (sent,))


@pytest.mark.parametrize("kind", ["domain", "hostname", "hostname|port", "domain|ip", "ip-dst", "ip-src|port"])
@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("10.0.0.1", Skip.PRIVATE_ADDRESS),
        ("[::1]", Skip.PRIVATE_ADDRESS),
        ("0.0.0.0", Skip.PRIVATE_ADDRESS),
        ("::", Skip.PRIVATE_ADDRESS),
        ("224.0.0.251", Skip.PRIVATE_ADDRESS),
        ("239.255.255.250", Skip.PRIVATE_ADDRESS),
        ("255.255.255.255", Skip.PRIVATE_ADDRESS),
        ("240.0.0.1", Skip.PRIVATE_ADDRESS),
        ("ff02::1", Skip.PRIVATE_ADDRESS),
        ("::ffff:10.0.0.1", Skip.PRIVATE_ADDRESS),
        ("198.51.100.0/24", Skip.CIDR),
        ("::ffff:198.51.100.0/120", Skip.CIDR),
    ],
)
def test_what_no_rule_matches_is_skipped_under_any_type(kind, written, why):
    other = "|443" if kind.endswith("|port") else f"|{written}" if kind == "domain|ip" else ""
    assert reason(kind, written + other) is why


@pytest.mark.parametrize(
    "value", ["a.example1", "1.2.3.4x", "192.0.2.1.example", "0x7f.example", "a:b.example", "dead:beef"]
)
def test_a_name_that_only_looks_like_an_address_stays_one(value):
    assert normalise("domain", value, send_private_and_cidr=False).typed_parts == [("domain", value)]


@pytest.mark.parametrize("kind", ["domain", "hostname", "hostname|port", "domain|ip"])
@pytest.mark.parametrize(
    "value", ["203.0.113.009", "0313.0.0161.011", "300.1.2.33", "203.0.113", "3405803785", "0xCB.0x0.0x71.0x09", "a.1."]
)
def test_what_ends_in_a_number_and_is_no_address_is_bad(kind, value):
    assert reason(kind, f"{value}|x" if "|" in kind else value) is Skip.BAD_VALUE


@pytest.mark.parametrize(
    "value", ["100.64.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "223.255.255.255"]
)
def test_what_logs_may_have_is_sent(value):
    assert parts("ip-dst", value) == (value,)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::ffff:c000:201", "192.0.2.1"),
        ("[::ffff:192.0.2.1]", "192.0.2.1"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:192.0.2.1/128", "192.0.2.1"),
        ("::ffff:0:0/95", "::fffe:0:0/95"),
        ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"),
        ("2002:c000:201::1", "2002:c000:201::1"),
    ],
)
def test_a_mapped_address_is_the_one_that_it_holds_and_no_other_kind_is(written, sent):
    assert parts("ip-src", written, send_private_and_cidr=True) == (sent,)


WRAPPED = ['"{}"', "'{}'", "“{}”", "„{}“", "‘{}’", "«{}»", "<{}>", "`{}`", '<"{}">', "\u200b{}\ufeff", "\u00a0{}\u00a0"]
WRAPPED += ["\u202a{}\u202c", "\x1f{}\x7f", "\u2066{}\u2069\n", "\u00ad{}", '" {} "']
BARE = {
    **{"domain": "evil.example", "hostname": "a.evil.example", "ip-src": "192.0.2.1", "ip-dst": "2001:db8::1"},
    **{"url": "http://evil.example/a?q='", "email": "bob@example.org", "email-src": "o'neil@example.org"},
    **{"md5": MD5.lower(), "ssdeep": "3:AbC:dEf", "AS": "64496", "port": "443", "size-in-bytes": "12"},
    **{"x509-fingerprint-md5": "ab" * 16, "domain|ip": "evil.example|192.0.2.1", "hostname|port": "evil.example|443"},
    **{"ip-dst|port": "192.0.2.1|443", "filename": "a.exe", "regkey": "HKLM\\A", "filename|md5": f"a.exe|{MD5}"},
}


@pytest.mark.parametrize("wrapped", WRAPPED)
@pytest.mark.parametrize("kind", BARE)
def test_what_stands_around_a_value_is_taken_off(kind, wrapped):
    bare = normalise(kind, BARE[kind], send_private_and_cidr=False)
    assert normalise(kind, wrapped.format(BARE[kind]), send_private_and_cidr=False) == bare


@hypothesis_settings(max_examples=examples(300))
@given(kind=st.sampled_from(sorted(BARE)), layers=st.lists(st.sampled_from(WRAPPED), max_size=4))
def test_however_a_value_is_wrapped_it_is_the_bare_one(kind, layers):
    text = BARE[kind]
    for layer in layers:
        text = layer.format(text)
    assert normalise(kind, text, send_private_and_cidr=False).parts == parts(kind, BARE[kind])


@pytest.mark.parametrize("kind", ["domain", "ip-dst", "email", "md5", "url"])
@pytest.mark.parametrize("character", ["\u200b", "\u00ad", "\ufeff", "\u200e", "\u202e", "\u2060", "\u200d"])
def test_what_nobody_sees_within_a_value_is_taken_off(kind, character):
    bare = BARE[kind]
    assert parts(kind, f"{bare[:3]}{character}{bare[3:]}") == (bare,)


@pytest.mark.parametrize("kind", ["domain", "ip-dst", "email", "md5", "url", "hostname|port"])
@pytest.mark.parametrize("character", ["\n", "\t", "\r\n", "\x1b", "\x85", "\x7f"])
def test_a_control_character_within_a_value_is_bad(kind, character):
    bare = BARE[kind]
    assert reason(kind, f"{bare[:3]}{character}{bare[3:]}") is Skip.BAD_VALUE


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("mutex", '"Global"'),
        ("email-subject", "“Invoice”"),
        ("user-agent", '"Mozilla/4.0"'),
        ("user-agent", "a\tb"),
        ("filename", "invoice\u202efdp.exe"),
        ("filename", "“Brief”.docx"),
        ("regkey", 'HKLM\\A"'),
        ("url", "http://evil.example/a?q='"),
        ("url", 'http://evil.example/">'),
        ("url", "http://evil.example/\U0001f468\u200d\U0001f469"),
    ],
)
def test_what_means_what_it_says_stays(kind, value):
    assert parts(kind, value) == (value,)


def test_a_joiner_that_counts_in_a_name_stays():
    assert parts("domain", "نامه\u200cای.example") == ("xn--mgba3gch31f060k.example",)


@pytest.mark.parametrize("kind", ["email", "email-src", "email-dst"])
@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("mailto:Bob@Example.org", "bob@example.org"),
        ("MAILTO:bob@example.org?subject=Hi", "bob@example.org"),
        ("bob@example.org.", "bob@example.org"),
        ("Bob <bob@example.org>", "bob@example.org"),
        ('"Bob, B." <bob@example.org>', "bob@example.org"),
        ("Bob <mailto:bob@example.org>.", "bob@example.org"),
        ("Bob <bob[@]example[.]org>", "bob@example.org"),
        ("<bob@example.org", "bob@example.org"),
        ('bob@example.org"', "bob@example.org"),
        ('"bob b"@example.org', '"bob b"@example.org'),
    ],
)
def test_an_address_stands_alone(kind, written, sent):
    assert parts(kind, written) == (sent,)


@pytest.mark.parametrize(
    "value", ["a@b.example, c@d.example", "a@b.example c@d.example", "<a@b.example> <c@d.example>", "mailto:", "<>"]
)
def test_what_is_not_one_address_is_bad(value):
    assert reason("email", value) is Skip.BAD_VALUE


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("http://Bücher.example/Ä?ü#ö", "http://xn--bcher-kva.example/Ä?ü#ö"),
        ("bücher.example:8080/a", "http://xn--bcher-kva.example:8080/a"),
        ("hxxp://bücher[.]example", "http://xn--bcher-kva.example"),
        ("https://user:ü@bücher.example/", "https://user:ü@xn--bcher-kva.example/"),
        ("http://i❤.example/", "http://i❤.example/"),
        ("http://evil.example/bücher.example", "http://evil.example/bücher.example"),
        ("http://[::ffff:192.0.2.1]/", "http://[::ffff:192.0.2.1]/"),
        ("http://10.0.0.1/", "http://10.0.0.1/"),
    ],
)
def test_the_host_of_a_url_is_what_logs_have(written, sent):
    assert parts("url", written) == (sent,)


@pytest.mark.parametrize("value", ["...", " . ", "。", "ü" * 64 + ".example", "\u0378.example"])
def test_names_that_dns_cannot_hold_are_bad(value):
    assert reason("domain", value) is Skip.BAD_VALUE


@pytest.mark.parametrize("kind", ["ip-src", "ip-dst"])
@pytest.mark.parametrize(
    ("given_value", "sent"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1/32", "192.0.2.1"),
        ("192[.]0[.]2[.]1", "192.0.2.1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("2001:db8::1/128", "2001:db8::1"),
        ("2001:db8::1%eth0", "2001:db8::1"),
        ("::FFFF:C000:0201", "192.0.2.1"),
    ],
)
def test_addresses_are_canonical(kind, given_value, sent):
    assert parts(kind, given_value) == (sent,)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("198.51.100.0/24", Skip.CIDR),
        ("2001:db8::/32", Skip.CIDR),
        ("0.0.0.0/0", Skip.CIDR),
        ("10.1.2.3", Skip.PRIVATE_ADDRESS),
        ("172.31.255.255", Skip.PRIVATE_ADDRESS),
        ("192.168.0.1", Skip.PRIVATE_ADDRESS),
        ("127.0.0.1", Skip.PRIVATE_ADDRESS),
        ("169.254.1.1", Skip.PRIVATE_ADDRESS),
        ("::1", Skip.PRIVATE_ADDRESS),
        ("fd00::1", Skip.PRIVATE_ADDRESS),
        ("fe80::1%eth0", Skip.PRIVATE_ADDRESS),
        ("::ffff:10.0.0.1", Skip.PRIVATE_ADDRESS),
        ("999.1.1.1", Skip.BAD_VALUE),
        ("192.0.2.1-192.0.2.9", Skip.BAD_VALUE),
        ("localhost", Skip.BAD_VALUE),
        ("192.0.2.1:80", Skip.BAD_VALUE),
    ],
)
def test_addresses_that_no_rule_matches(value, why):
    assert reason("ip-dst", value) is why


def test_edges_of_private_blocks_are_sent():
    for value in ("9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.169.0.0", "128.0.0.1"):
        assert parts("ip-src", value) == (value,)


@pytest.mark.parametrize(
    ("given_value", "sent"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("198.51.100.7/24", "198.51.100.0/24"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_private_and_cidr_are_sent_when_asked_for(given_value, sent):
    assert parts("ip-dst", given_value, send_private_and_cidr=True) == (sent,)


@pytest.mark.parametrize(
    ("given_value", "sent"),
    [
        ("http://Evil.example/Path?Q=A", "http://Evil.example/Path?Q=A"),
        ("HTTPS://Evil.example/", "HTTPS://Evil.example/"),
        ("Evil.example/Path", "http://Evil.example/Path"),
        ("evil.example:8080", "http://evil.example:8080"),
        ("evil.example:8080/a:b", "http://evil.example:8080/a:b"),
        ("evil.example:8080?q", "http://evil.example:8080?q"),
        ("192.0.2.1:8080", "http://192.0.2.1:8080"),
        ("evil.example/mailto:a", "http://evil.example/mailto:a"),
        ("evil.example/?next=http://b.example", "http://evil.example/?next=http://b.example"),
        ("hxxp://evil[.]example/a[.]b", "http://evil.example/a[.]b"),
        ("hXXps://evil(dot)example/", "https://evil.example/"),
        ("h**p://evil.example", "http://evil.example"),
        ("h[tt]ps://evil.example", "https://evil.example"),
        ("meow://evil.example", "http://evil.example"),
        ("hxxp[:]//evil[.]example[:]8080/", "http://evil.example:8080/"),
        ("hxxps[://]evil.example", "https://evil.example"),
        ("ftp://evil.example/a", "ftp://evil.example/a"),
        ("http://evil.example/?q=(dot)", "http://evil.example/?q=(dot)"),
        ("http://evil.example?q=(dot)", "http://evil.example?q=(dot)"),
        ("http://evil.example#a[.]b", "http://evil.example#a[.]b"),
        ("http://evil.example/?q=hxxp://b.example", "http://evil.example/?q=hxxp://b.example"),
        ("http://evil.example/x[:]//y", "http://evil.example/x[:]//y"),
        ("http://evil.example/\U0001f600", "http://evil.example/\U0001f600"),
        ("http://[2001:db8::1]:80/", "http://[2001:db8::1]:80/"),
    ],
)
def test_urls_keep_case_and_path_and_get_a_scheme(given_value, sent):
    assert parts("url", given_value) == (sent,)


@pytest.mark.parametrize(
    "given_value",
    ["mailto:x@y.example", "javascript:alert(1)", "data:text/html,x", "MAILTO:a", "evil.example:80a", "a:"],
)
def test_a_uri_without_a_host_is_no_url(given_value):
    assert reason("url", given_value) is Skip.BAD_VALUE


@pytest.mark.parametrize(
    ("misp_type", "given_value", "kind", "sent"),
    [
        ("md5", MD5, "md5", MD5.lower()),
        ("sha512/256", "AB" * 32, "sha512/256", "ab" * 32),
        ("ssdeep", '3:AbC:dEf,"a.exe"', "ssdeep", "3:AbC:dEf"),
        ("impfuzzy", "3:AbC:dEf", "impfuzzy", "3:AbC:dEf"),
        ("tlsh", "T1" + "AB" * 35, "tlsh", "ab" * 35),
        ("tlsh", "AB" * 35, "tlsh", "ab" * 35),
        ("x509-fingerprint-sha1", ":".join(["AB"] * 20), "x509-fingerprint-sha1", "ab" * 20),
        ("email", "Bob@Example.ORG", "email", "bob@example.org"),
        ("email-src", "bob[at]example[.]org", "email-src", "bob@example.org"),
        ("email-dst", "bob[@]example.org", "email-dst", "bob@example.org"),
        ("AS", "AS64496", "AS", "64496"),
        ("AS", "as 64496", "AS", "64496"),
        ("AS", "1.10", "AS", "65546"),
        ("regkey|value", "HKLM\\A\\B|C:\\x|y", "regkey", "HKLM\\A\\B"),
        ("regkey|value", '"HKLM\\A"|"C:\\x"', "regkey", "HKLM\\A"),
        ("regkey|value", '"HKLM\\A|C:\\x"', "regkey", "HKLM\\A"),
        ("regkey|value", 'HKLM\\"A"|"x"', "regkey", 'HKLM\\"A"'),
        ("regkey", "HKLM\\A", "regkey", "HKLM\\A"),
        ("hostname|port", "C2.Example.:443", "hostname", "c2.example"),
        ("hostname|port", "C2.Example|443", "hostname", "c2.example"),
        ("ip-dst|port", "192.0.2.1|443", "ip-dst", "192.0.2.1"),
        ("ip-dst|port", "192.0.2.1:443", "ip-dst", "192.0.2.1"),
        ("ip-src|port", "2001:DB8::1|443", "ip-src", "2001:db8::1"),
        ("ip-src|port", "[2001:db8::1]:443", "ip-src", "2001:db8::1"),
        ("ip-src|port", "[2001:db8::1]|443", "ip-src", "2001:db8::1"),
        ("mutex", " Global\\Mutex ", "mutex", "Global\\Mutex"),
        ("filename", "A B.EXE", "filename", "A B.EXE"),
        ("user-agent", "UA/1 (x|y)", "user-agent", "UA/1 (x|y)"),
    ],
)
def test_every_other_kind(misp_type, given_value, kind, sent):
    value = normalise(misp_type, given_value, send_private_and_cidr=False)
    assert (value.type, value.parts, value.text) == (kind, (sent,), sent)


@pytest.mark.parametrize("name", ["a.exe", "a|b.exe", "a\\b'c.exe", "\U0001f600.exe", ""])
@pytest.mark.parametrize("kind", HASH_TYPES)
def test_a_file_name_goes_beside_its_hash(kind, name):
    value = normalise(f"filename|{kind}", f"{name}|{MD5}", send_private_and_cidr=False)
    digest = MD5 if kind in {"ssdeep", "impfuzzy"} else MD5.lower()
    assert (value.type, value.parts, value.file_name) == (kind, (digest,), name)


@pytest.mark.parametrize(
    ("written", "name"),
    [(f'"a.exe"|"{MD5}"', "a.exe"), (f'"a.exe|{MD5}"', "a.exe"), (f"'tis.exe|{MD5}", "'tis.exe"), (f"<a>|{MD5}", "a")],
)
@pytest.mark.parametrize("kind", ["filename|md5", "malware-sample"])
def test_each_half_of_a_file_is_taken_out_of_its_quotes(kind, written, name):
    value = normalise(kind, written, send_private_and_cidr=False)
    assert (value.parts, value.file_name) == ((MD5.lower(),), name)


def test_a_domain_and_its_address():
    value = normalise("domain|ip", "Evil.Example.|192.0.2.1", send_private_and_cidr=False)
    assert value.parts == ("evil.example", "192.0.2.1")
    assert value.typed_parts == [("domain", "evil.example"), ("ip-dst", "192.0.2.1")]
    assert value.left_out == ()


@pytest.mark.parametrize(
    ("given_value", "kind", "sent", "why"),
    [
        ("evil.example|10.0.0.1", "domain", "evil.example", Skip.PRIVATE_ADDRESS),
        ("evil.example|198.51.100.0/24", "domain", "evil.example", Skip.CIDR),
        ("evil.example|", "domain", "evil.example", Skip.BAD_VALUE),
        ("|192.0.2.1", "ip-dst", "192.0.2.1", Skip.BAD_VALUE),
        ("...|192.0.2.1", "ip-dst", "192.0.2.1", Skip.BAD_VALUE),
    ],
)
def test_half_of_a_domain_and_address_is_sent_by_itself(given_value, kind, sent, why):
    value = normalise("domain|ip", given_value, send_private_and_cidr=False)
    assert (value.type, value.parts) == (kind, (sent,))
    assert [half.reason for half in value.left_out] == [why]


@pytest.mark.parametrize(
    ("written", "typed", "left_out"),
    [
        ("192.0.2.1|evil.example", [("domain", "evil.example"), ("ip-dst", "192.0.2.1")], 0),
        ("[2001:db8::1]|Evil.Example.", [("domain", "evil.example"), ("ip-dst", "2001:db8::1")], 0),
        ("192.0.2.1.|evil.example", [("domain", "evil.example"), ("ip-dst", "192.0.2.1")], 0),
        ("192.0.2.1|192.0.2.1", [("ip-dst", "192.0.2.1")], 0),
        ("192.0.2.1|192.0.2.2", [("ip-dst", "192.0.2.1")], 1),
        ("10.0.0.1|192.0.2.2", [("ip-dst", "192.0.2.2")], 1),
        ("10.0.0.1|evil.example", [("domain", "evil.example")], 1),
    ],
)
def test_the_halves_of_a_domain_and_address_are_what_they_are(written, typed, left_out):
    value = normalise("domain|ip", written, send_private_and_cidr=False)
    assert (value.typed_parts, len(value.left_out)) == (typed, left_out)


@pytest.mark.parametrize("value", ["evil.example", "a.example|192.0.2.1|x", "|", "...|x"])
def test_neither_half_is_a_bad_value(value):
    assert reason("domain|ip", value) is Skip.BAD_VALUE


@pytest.mark.parametrize("kind", sorted(UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES))
@pytest.mark.parametrize("value", ["", "  \t\n", None, 7, 1.5, True, [], {}, "a\ud800b"])
def test_what_is_no_text_is_a_bad_value_of_any_type(kind, value):
    assert reason(kind, value) is Skip.BAD_VALUE


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("ssdeep", ',"a"'),
        ("x509-fingerprint-md5", ":::"),
        ("AS", "AS"),
        ("filename|md5", "a.exe|"),
        ("regkey|value", "|x"),
    ],
)
def test_what_normalising_leaves_empty_is_a_bad_value(kind, value):
    assert reason(kind, value) is Skip.BAD_VALUE


HOSTILE = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="[](){}.:/|@%dotahxp*AS1 \\'\"\u3000。．［］ÜİßΣ\U0001f600", max_size=40),
    st.text(alphabet="\"'“”‘’«»`<>a@.|:1 \u200b\u200d\ufeff\u00ad\u202e\u00a0\x1f\n/", max_size=24),
    st.builds(
        "{}{}".format, st.sampled_from(["mailto:", "<", "A <", '"', "::ffff:", "http://ü"]), st.text(max_size=12)
    ),
    st.ip_addresses().map(str),
    st.from_regex(r"(hxxps?|meow|http)(\[?:\]?)//[a-z\[\].()]{1,10}(/[(dot)?]{0,8})?", fullmatch=True),
)


@hypothesis_settings(max_examples=examples(600))
@given(kind=st.sampled_from(UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES), text=HOSTILE, send=st.booleans())
@example(kind="domain", text="a[(dot)]b", send=False)
@example(kind="domain", text="ü［．］a", send=False)
@example(kind="AS", text="ASAS1", send=False)
@example(kind="url", text="hxxp://meow://[[.]", send=False)
@example(kind="email", text="mailto:mailto:<a@b.example>", send=False)
@example(kind="filename", text="'\"\u200ba\u200b\"'", send=False)
@example(kind="url", text="http://ü@ü/", send=False)
@example(kind="url", text='"', send=False)
@example(kind="url", text="<'", send=False)
@example(kind="AS", text="AS'AS1", send=False)
@example(kind="x509-fingerprint-md5", text=":“ab:”:", send=False)
@example(kind="regkey|value", text="‘`HKLM`|443", send=False)
@example(kind="url", text="http://»/a", send=False)
@example(kind="url", text="’http://ü.example\u200d/1", send=False)
@example(kind="email", text="ü\u200da@b.example»", send=False)
def test_preparing_what_is_prepared_changes_nothing(kind, text, send):
    try:
        value = normalise(kind, text, send_private_and_cidr=send)
    except Unsendable as refused:
        assert refused.reason in {Skip.BAD_VALUE, Skip.TOO_LONG, Skip.CIDR, Skip.PRIVATE_ADDRESS}
        return
    assert all(part and part == part.strip() for part in value.parts)
    again = normalise(value.type, value.text, send_private_and_cidr=send)
    assert (again.type, again.parts, again.left_out) == (value.type, value.parts, ())


@pytest.mark.parametrize("character", ["[", "(", ".", ":", "|", "/", "a", "ü", "\U0001f600", " ."])
@pytest.mark.parametrize("kind", ["domain", "url", "ip-dst", "email", "domain|ip", "ip-dst|port", "ssdeep", "AS"])
def test_the_longest_value_is_a_value_or_a_reason(kind, character):
    text = (character * LONGEST_VALUES[kind])[: LONGEST_VALUES[kind] - 1] + "x"
    try:
        assert normalise(kind, text, send_private_and_cidr=True).parts
    except Unsendable as refused:
        assert refused.reason in {Skip.BAD_VALUE, Skip.TOO_LONG}
    assert reason(kind, f"{text}xx") is Skip.TOO_LONG
