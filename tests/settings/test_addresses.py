"""What is secret in an address, wherever it stands there, and which addresses are the same."""

from __future__ import annotations

from urllib.parse import quote

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from helpers.settings import Settings, canonical_workspace
from helpers.settings.addresses import canonical_address, secrets_in, without_secrets

HIDDEN = "Zq7-hidden"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://user:{}@db.example.org/ledger", "postgresql://user:***@db.example.org/ledger"),
        ("postgresql://user:a/b?c#{}@db.example.org/x", "postgresql://user:***@db.example.org/x"),
        ("postgresql://db.example.org/x?user=a&password={}&sslmode=require", "…?user=a&password=***&sslmode=require"),
        ("postgresql://db.example.org/x?PassWord={};x#y", "postgresql://db.example.org/x?PassWord=***"),
        ("postgresql://db.example.org/x?pass%77ord={}", "postgresql://db.example.org/x?pass%77ord=***"),
        ("postgresql://db.example.org/x?sslkey=/etc/key&sslpassword={}", "…?sslkey=/etc/key&sslpassword=***"),
        ("postgresql://db.example.org/x?oauth_client_secret={}", "…?oauth_client_secret=***"),
        ("postgresql://db.example.org/x#password={}", "postgresql://db.example.org/x#password=***"),
        ("postgresql://db.example.org/x?sslmode=require#password={}", "…?sslmode=require#password=***"),
        ("postgresql://user:one@db.example.org/x?password={}", "postgresql://user:***@db.example.org/x?password=***"),
        ("http://user:{}@proxy.example.org:3128", "http://user:***@proxy.example.org:3128"),
        ("user:{}@proxy.example.org:3128", "user:***@proxy.example.org:3128"),
        ("http://{}@proxy.example.org:3128", "http://***@proxy.example.org:3128"),
        ("http://{}:@proxy.example.org:3128", "http://***:@proxy.example.org:3128"),
        ("https://proxy.example.org/?token={}", "https://proxy.example.org/?token=***"),
        ("https://store.example.org/x?sv=2024&sig={}&se=1", "https://store.example.org/x?sv=2024&sig=***&se=1"),
    ],
)
def test_a_secret_is_known_and_not_shown(address, shown):
    address = address.format(HIDDEN)
    assert any(HIDDEN in secret for secret in secrets_in(address))
    assert without_secrets(address) == shown.replace("…", address.partition("?")[0])


@pytest.mark.parametrize(
    "address",
    [
        "",
        "none",
        "postgresql://user@db.example.org:5432/ledger?sslmode=verify-full&sslrootcert=/etc/ca.pem&passfile=/etc/pgpass",
        "sqlite:////srv/a:b@c/ledger.sqlite?password=x",
        "http://proxy.example.org:3128",
    ],
)
def test_what_is_no_secret_is_shown(address):
    assert secrets_in(address) == ()
    assert without_secrets(address) == address


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_secret_is_known_as_it_is_written_and_as_it_is_sent(password):
    for address in ("postgresql://user:{}@db.example.org/x", "postgresql://db.example.org/x?a=b&password={}"):
        known = secrets_in(address.format(quote(password, safe="")))
        assert {password, quote(password, safe="")} <= set(known)


def test_a_token_in_a_proxy_s_address_is_a_secret_of_the_settings():
    settings = Settings(ms_proxies={"https": f"http://{HIDDEN}@proxy.example.org:3128"})
    assert settings.secret_values() == (HIDDEN,)


@pytest.mark.parametrize(
    ("spellings", "canonical"),
    [
        (
            ["https://MISP.Example.org", "https://misp.example.org:443", "HTTPS://misp.example.org:0443/"],
            "https://misp.example.org",
        ),
        (["https://misp.example.org:", "https://misp.example.org//"], "https://misp.example.org"),
        (["http://Misp.example.org:80/", "http://misp.example.org"], "http://misp.example.org"),
        (["https://misp.example.org:80", "https://MISP.example.org:80/"], "https://misp.example.org:80"),
        (["http://misp.example.org:443"], "http://misp.example.org:443"),
        (["https://misp.example.org:443/Sub/Path/"], "https://misp.example.org/Sub/Path"),
        (["https://[2001:DB8::443]:443/", "https://[2001:db8::443]"], "https://[2001:db8::443]"),
        (
            ["https://h.example.org/misp", "https://h.example.org/misp/", "https://h.example.org//misp//"],
            "https://h.example.org/misp",
        ),
        (
            ["https://h.example.org/./misp", "https://h.example.org/x/../misp/", "https://h.example.org/%6disp"],
            "https://h.example.org/misp",
        ),
        (["https://h.example.org/a%2fb", "https://h.example.org/a%2Fb/"], "https://h.example.org/a%2Fb"),
        (["https://h.example.org/ü", "https://h.example.org/%c3%bc"], "https://h.example.org/%C3%BC"),
        (["https://h.example.org/100%/%ff"], "https://h.example.org/100%25/%FF"),
        (["https://h.example.org/misp/index.php/"], "https://h.example.org/misp/index.php"),
        (["https://h.example.org/../.."], "https://h.example.org"),
    ],
)
def test_an_address_has_one_spelling(spellings, canonical):
    assert {canonical_address(spelling) for spelling in spellings} == {canonical}
    assert {Settings(misp_domain=spelling).misp_domain for spelling in spellings} == {canonical}


@given(st.lists(st.text(st.characters(min_codepoint=33, exclude_characters="?#<>[]", exclude_categories=["Cs", "Z"]))))
def test_the_one_spelling_is_its_own_and_what_is_sent(parts):
    """requests sends it as it is: nothing is left to normalise."""
    address = canonical_address("https://h.example.org/" + "/".join(parts))
    assert canonical_address(address) == canonical_address(f"{address}/") == address
    sent = requests.Request("GET", f"{address}/events").prepare().url
    assert sent == f"{address}/events"


def test_guids_and_domain_names_have_no_letter_case():
    spellings = [{"tenant": "CONTOSO.Example.org", "workspace_id": "ABCDEF00-0000-4000-8000-000000000001"}]
    spellings += [{name: value.lower() for name, value in spellings[0].items()}]
    plain = {Settings(ms_auth=auth).workspace_key for auth in spellings}
    graph = {Settings(ms_auth={**auth, "graph_api": True}).workspace_key for auth in spellings}
    assert (len(plain), len(graph)) == (1, 1)
    assert {canonical_workspace(key.upper()) for key in plain} == plain
    (key,) = graph
    assert canonical_workspace(key.replace("contoso", "CONTOSO")) == key
