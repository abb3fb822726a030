"""What alerts name: ids in custom details, however they are written, and values of the rules that count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.microsoft import AlertHit
from helpers.sync.sightings.naming import fits, naming_of

UUID = "5aa2e27c-2a6c-4944-8527-34670a016219"
ID = f"indicator--{UUID}"
RULE, RULES = "TI map IP entity to DnsEvents", ("TI map*",)
AT = 1_790_000_000


def hit(kind, value, rule=RULE, alert="alert 1"):
    return AlertHit(alert, rule, AT, kind, value)


@pytest.mark.parametrize("written", [UUID, UUID.upper(), ID, f" {ID} ", f"TUlTUA==---{ID}", f"bWlzcA==---{ID.upper()}"])
def test_an_id_counts_bare_as_stix_has_it_and_as_the_tables_have_it_whatever_the_rule(written):
    (named,) = naming_of([hit("id", written, rule="our own")], RULES).named
    assert (named.kind, named.value) == ("id", ID)


@pytest.mark.parametrize("written", ['["{}","{}"]', '[ "{}", "bWlzcA==---{}" ]', "{}, {}", "{};{}", "{}\n{}"])
def test_each_id_of_a_list_in_one_text_counts(written):
    ids = [ID, f"indicator--{UUID.replace('5', '6')}"]
    assert [named.value for named in naming_of([hit("id", written.format(*ids))], RULES).named] == ids


@pytest.mark.parametrize(
    "written", ["", "WatchList", f"{ID}, {UUID} and more", f"{UUID} and more", f"device {UUID}", "indicator--1234"]
)
def test_a_custom_detail_that_is_no_id_is_nothing(written):
    assert naming_of([hit("id", written)], RULES).named == ()


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        ("ip", "198.51.100.7", "198.51.100.7"),
        ("ip", "::ffff:198.51.100.7", "198.51.100.7"),
        ("ip", "2001:DB8:0:0::1", "2001:db8::1"),
        ("dns", "C2.Example.ORG.", "c2.example.org"),
        ("dns", "münchen.example.org", "xn--mnchen-3ya.example.org"),
        ("url", "HTTPS://C2.example.org/A", "https://c2.example.org/a"),
        ("filehash", "D41D8CD98F00B204E9800998ECF8427E", "d41d8cd98f00b204e9800998ecf8427e"),
        ("filehash", "A" * 64, "a" * 64),
        ("mailbox", "Alice@Example.org", "alice@example.org"),
    ],
)
def test_a_value_counts_in_the_form_that_indicators_have(kind, written, value):
    (named,) = naming_of([hit(kind, written)], RULES).named
    assert (named.kind, named.value) == (kind, value)


@pytest.mark.parametrize("address", ["10.1.2.3", "192.168.0.1", "127.0.0.1", "fe80::1", "::1", "224.0.0.1", "0.0.0.0"])
def test_a_private_address_never_counts(address):
    naming = naming_of([hit("ip", address)], RULES)
    assert (naming.named, naming.private) == ((), 1)


@pytest.mark.parametrize(("kind", "value"), [("ip", "unknown"), ("filehash", "abc"), ("dns", ""), ("host", "server")])
def test_what_is_no_value_of_its_kind_is_counted_and_no_more(kind, value):
    naming = naming_of([hit(kind, value)], RULES)
    assert (naming.named, naming.odd) == ((), 1)


def test_values_of_other_rules_do_not_count_and_their_alerts_are_counted():
    hits = [hit("ip", "198.51.100.7", "Impossible travel", f"alert {n % 2}") for n in range(4)]
    hits.append(hit("id", UUID, "Impossible travel", "alert 1"))
    naming = naming_of(hits, RULES)
    assert [named.alert for named in naming.named] == ["alert 1"]
    assert naming.others == 1, "alert 1 is no other one: it names an id"


@pytest.mark.parametrize(
    ("rule", "pattern", "expected"),
    [
        ("TI map IP entity", "TI map*", True),
        ("TI Map URL entity", "ti MAP*", True),
        ("Preview - TI map", "TI map*", False),
        ("[MISP] any", "[MISP]*", True),
        ("M any", "[MISP]*", False),
        ("rule 7", "rule ?", True),
        ("rule 77", "rule ?", False),
    ],
)
def test_a_rule_is_named_with_stars_and_question_marks_in_any_letter_case(rule, pattern, expected):
    assert fits(rule, [pattern]) is expected


TEXTS = st.text(max_size=40) | st.sampled_from([UUID, ID, "198.51.100.7", "http://[", "a@b", "1" * 32])
KINDS = st.sampled_from(["id", "ip", "dns", "url", "filehash", "mailbox", "process"])


@given(st.lists(st.builds(hit, KINDS, TEXTS, st.sampled_from([RULE, "other", ""])), max_size=20))
def test_whatever_stands_in_an_alert_is_read_and_named_once(hits):
    naming = naming_of(hits, RULES)
    assert len(set(naming.named)) == len(naming.named)
    assert all(named.value == named.value.lower() for named in naming.named)
