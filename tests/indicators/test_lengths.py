"""What is longer than any value of its type is skipped, and nothing that takes values apart ever sees it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import stix2patterns.v21.pattern
from misp_stix_converter import MISPtoSTIX21Parser
from pymisp.tools.attributevalidationtool import AttributeValidationTool

from constants import HASH_DIGITS, LONGEST_OTHER, LONGEST_VALUES, UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES, Skip
from helpers.indicators import ConversionRules, Unsendable, convert_event, misp_stix, normalise
from helpers.indicators.patterns import observables
from helpers.indicators.templates import pattern_templates
from helpers.settings import Settings

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
RULES = ConversionRules.of(Settings())
SHARED = Path(__file__).parents[2].parent / "shared"
RECORDED = sorted(path for folder in ("misp-events", "misp-recordings") for path in SHARED.glob(f"{folder}/*.json"))
# A pattern has the value, each of its characters escaped at worst (% of a registry key twice), and what is around it.
AROUND = 200
HOSTILE = ("@", "a@", "(", "[", "a.", "é.", "'", "\\", "|", "A:", "x", "é", "1", "a|", "%")


def attribute(number, kind, value):
    uuid = f"aaaaaaaa-0000-4000-8000-{number:012d}"
    return {"uuid": uuid, "type": kind, "value": value, "to_ids": True, "timestamp": "1790000000"}


def event(*attributes, **fields):
    return {"uuid": "cccccccc-0000-4000-8000-000000000001", "info": "x", "Attribute": list(attributes), **fields}


def skips(event_):
    return [skip for result in convert_event(event_, RULES, NOW) for skip in result.skipped]


@pytest.mark.parametrize("kind", UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES)
def test_each_type_that_is_sent_has_a_longest_value(kind):
    longest = LONGEST_VALUES[kind]
    (skip,) = skips(event(attribute(1, kind, "x" * (longest + 1))))
    assert (skip.reason, skip.words) == (
        Skip.TOO_LONG,
        f"{longest + 1:,} characters, where {kind} has at most {longest:,}",
    )
    assert Skip.TOO_LONG not in {skip.reason for skip in skips(event(attribute(1, kind, f" {'x' * 32} ")))}


@pytest.mark.parametrize("kind", HASH_DIGITS)
def test_a_hash_and_its_file_s_name_are_counted_apart(kind):
    digest, name = "a" * HASH_DIGITS[kind], "n" * 4_096
    assert normalise(f"filename|{kind}", f"{name}|{digest}", send_private_and_cidr=False).file_name == name
    for long in (f"{name}n|{digest}T1a", f"n|{digest}abc"):
        assert reason(f"filename|{kind}", long) is Skip.TOO_LONG


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("domain", "a[.]" * 126 + "b"),
        ("email-src", f"{'a' * 64}[@]{'b.' * 127}c"),
        ("ip-dst", "2001[:]db8[:]1234[:]5678[:]9abc[:]def0[:]192[.]168[.]100[.]200%enp0s31f6"),
        ("ip-dst|port", "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535"),
        ("regkey|value", "HKLM\\Run|" + "x" * 65_535),
        ("url", "https://example.org/" + "x" * 16_000),
        ("ssdeep", f'{"1" * 20}:{"a" * 63}:{"b" * 63},"{"n" * 4_000}"'),
        ("x509-fingerprint-sha256", ":".join(["ab"] * 32)),
    ],
)
def test_what_is_as_long_as_its_type_may_be_is_no_longer(kind, value):
    assert normalise(kind, value, send_private_and_cidr=True).parts


def test_a_type_that_a_site_adds_has_a_longest_value_too():
    assert reason("link", "x" * (LONGEST_OTHER + 1)) is Skip.TOO_LONG
    assert normalise("link", "x" * LONGEST_OTHER, send_private_and_cidr=False).text


def test_what_grows_while_it_is_normalised_is_counted_again():
    """Each label of one such letter is eight characters of punycode."""
    assert reason("domain", "é." * 250 + "org") is Skip.TOO_LONG


@pytest.mark.parametrize("value", ["a\0b.example.org", "a\ud800.example.org", "\0", "\udfff"])
@pytest.mark.parametrize("kind", ["domain", "url", "filename", "email-subject", "mutex"])
def test_what_cannot_be_stored_is_a_bad_value(kind, value):
    assert reason(kind, value) is Skip.BAD_VALUE


def reason(kind, value):
    with pytest.raises(Unsendable) as refused:
        normalise(kind, value, send_private_and_cidr=False)
    return refused.value.reason


@pytest.fixture
def seen(monkeypatch):
    """Take down what reaches PyMISP, misp-stix and the parser of patterns: by type, and without one."""
    values, patterns = [], []
    pymisp, parser = AttributeValidationTool, stix2patterns.v21.pattern.Pattern
    rewrite, validate, parse = pymisp.modifyBeforeValidation, pymisp.validate, MISPtoSTIX21Parser.parse_misp_event

    def noted_event(self, misp_event):
        members = [member for object_ in misp_event["Object"] for member in object_["Attribute"]]
        values.extend((member["type"], member["value"]) for member in [*misp_event["Attribute"], *members])
        return parse(self, misp_event)

    class NotedPattern(parser):
        def __init__(self, pattern):
            patterns.append(pattern)
            super().__init__(pattern)

    monkeypatch.setattr(pymisp, "modifyBeforeValidation", lambda *pair: values.append(pair) or rewrite(*pair))
    monkeypatch.setattr(pymisp, "validate", lambda *pair: values.append(pair) or validate(*pair))
    monkeypatch.setattr(MISPtoSTIX21Parser, "parse_misp_event", noted_event)
    monkeypatch.setattr(stix2patterns.v21.pattern, "Pattern", NotedPattern)
    pattern_templates.template_of.cache_clear()
    return values, patterns


@pytest.mark.parametrize("kind", UPLOAD_INDICATOR_MISP_ACCEPTED_TYPES)
def test_nothing_longer_than_its_type_reaches_what_takes_it_apart(kind, seen):
    values, patterns = seen
    longest = LONGEST_VALUES[kind]
    texts = [(piece * size)[:size] for piece in HOSTILE for size in (longest, longest + 1, 70_000)]
    attributes = [attribute(number, kind, text) for number, text in enumerate(texts)]
    member = {**attribute(1_000, kind, "x" * 70_000), "object_relation": "y" * 70_000}
    objects = [{"uuid": "bbbbbbbb-0000-4000-8000-000000000001", "name": "file", "Attribute": [member]}]
    skipped = skips(event(*attributes, Object=objects))
    assert len([skip for skip in skipped if skip.reason is Skip.TOO_LONG]) >= 2 * len(HOSTILE)
    too_long = [(type_, len(value)) for type_, value in values if len(value) > LONGEST_VALUES[type_]]
    assert too_long == []
    assert all(len(pattern) <= 3 * longest + AROUND for pattern in patterns)


def test_the_parsers_are_watched(seen):
    """The test above means something: what is plain and what is not is seen in each of the three places."""
    assert not skips(event(attribute(1, "url", "http://a.example.org/(a)"), attribute(2, "mutex", "it's")))
    assert set(seen[0]) >= {("url", "http://a.example.org/(a)"), ("mutex", "it's")}
    assert any("it\\'s" in pattern for pattern in seen[1])
    assert misp_stix.refusal("md5", "x") and ("md5", "x") in seen[0]
    assert observables("[a:b = 'c']") and "[a:b = 'c']" in seen[1]


@pytest.mark.skipif(not RECORDED, reason="the published events and the recordings are not beside this repository")
def test_no_published_value_is_too_long():
    attributes = [found for path in RECORDED for found in attributes_in(_json(path.read_text(encoding="utf-8")))]
    assert len(attributes) > 2_500
    longer = [(kind, value) for kind, value in attributes if len(value) > LONGEST_VALUES.get(kind, LONGEST_OTHER)]
    assert longer == []


def _json(text):
    try:
        return json.loads(text)
    except ValueError:  # one of them is cut short on purpose
        return None


def attributes_in(value):
    """Yield the type and the value of each attribute in a document, also in JSON that is a text in it."""
    if isinstance(value, dict) and isinstance(value.get("type"), str) and isinstance(value.get("value"), str):
        yield value["type"], value["value"]
    if isinstance(value, str):
        value = _json(value) if value.startswith(("{", "[")) else None
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        yield from attributes_in(part)


def indicators(event_):
    return [indicator for result in convert_event(event_, RULES, NOW) for indicator in result.indicators]


def test_what_an_event_says_of_all_its_attributes_is_cut():
    long = {"info": "i" * 10_000_000, "Orgc": {"name": "o" * 10_000_000}, "date": "d" * 10_000_000}
    attributes = [attribute(number, "domain", f"e{number}.example.org") for number in range(50)]
    sent = indicators(event(*attributes, **long))
    assert len(sent) == 50
    assert max(len(json.dumps(indicator)) for indicator in sent) < 5_000
    assert sent[0]["name"] == "i" * 999 + "…"


def test_an_attribute_s_comment_is_cut_where_misp_s_column_ends():
    (sent,) = indicators(event({**attribute(1, "domain", "a.example.org"), "comment": "c" * 10_000_000}))
    assert len(sent["description"].partition("\n")[0]) == 65_535


def test_the_names_of_a_file_are_cut():
    names = [{**attribute(number, "filename", f"{number}.exe"), "to_ids": False} for number in range(1, 20_000)]
    hash_ = attribute(0, "md5", "a" * 32)
    object_ = {"uuid": "bbbbbbbb-0000-4000-8000-000000000001", "name": "n" * 70_000, "Attribute": [hash_, *names]}
    (sent,) = indicators(event(Object=[object_]))
    assert 4_000 < len(sent["description"]) < 5_000


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b", "\0", "\udfff"])
def test_what_cannot_be_stored_is_replaced_in_what_is_only_read(text):
    raw = {**attribute(1, "domain", "a.example.org"), "comment": text, "category": text}
    stated = {"info": text, "Orgc": {"name": text}, "Tag": [{"name": text}], "id": text, "date": text}
    (sent,) = indicators(event(raw, **stated))
    written = json.dumps(sent, ensure_ascii=False)
    assert written.encode() and "\\u0000" not in written and "?" in sent["description"]
