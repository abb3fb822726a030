"""A failure is one text where it is kept, and on a screen a sentence, with what is only looked up apart from it."""

from __future__ import annotations

import pytest

from helpers.microsoft import taken_apart
from helpers.microsoft.graph_api import GraphApi
from helpers.microsoft.particulars import with_particulars
from helpers.microsoft.upload_api import UploadApi
from helpers.settings import MsAuth, Settings

APP, WORKSPACE = "22222222-2222-4222-8222-222222222222", "33333333-3333-4333-8333-333333333333"
TRACE, CORRELATION = "95d1bc81-20c7-4230-92cc-63f24a2b8336", "090a5aba-2a3d-4f64-957e-337220e66f71"
OURS = Settings(ms_auth=MsAuth(client_id=APP, workspace_id=WORKSPACE))


@pytest.mark.parametrize("status", [401, 403, 404, 302])
@pytest.mark.parametrize("api", [UploadApi(OURS), GraphApi(OURS)], ids=["upload", "graph"])
def test_ids_and_addresses_of_what_stops_an_upload_stand_in_no_sentence(api, status):
    text = api.failure(status, "300 Odd: (address: none)")
    sentence, particulars = taken_apart(text)
    assert not any(part in sentence for part in (APP, WORKSPACE, "https://", "Microsoft's words"))
    assert dict(particulars)["address"].startswith("https://")
    assert "300 Odd: (address: none)" in (sentence, dict(particulars).get("Microsoft's words"), sentence[-24:])


def test_what_is_to_be_done_about_a_role_comes_first_and_the_app_last():
    text = UploadApi(OURS).failure(403, "403 Forbidden: no")
    sentence, particulars = taken_apart(text)
    assert sentence.startswith(
        "the app lacks the role Microsoft Sentinel Contributor. Give it that role on the workspace"
    )
    assert particulars[:2] == (("app", APP), ("workspace", WORKSPACE))
    assert particulars[-1] == ("Microsoft's words", "403 Forbidden: no")


@pytest.mark.parametrize("api", [UploadApi, GraphApi])
def test_a_managed_identity_is_not_called_an_app(api):
    text = api(Settings(ms_auth=MsAuth(credential="managed_identity"))).failure(403, "no")
    assert text.startswith("the managed identity of this host lacks the ") and "app:" not in text


@pytest.mark.parametrize(
    ("words", "plain", "numbers"),
    [
        (
            f"AADSTS7000222: expired. Trace ID: {TRACE} Correlation ID: {CORRELATION} Timestamp: 2026-11-29 12:31:51Z",
            "AADSTS7000222: expired",
            {"Trace ID": TRACE, "Correlation ID": CORRELATION, "Timestamp": "2026-11-29 12:31:51Z"},
        ),
        (f"500 Oops (RequestId: {TRACE}) again", "500 Oops again", {"RequestId": TRACE}),
        (f"403 no, client-request-id='{TRACE}'", "403 no", {"client-request-id": TRACE}),
        ("no timestamp: this is a sentence", "no timestamp: this is a sentence", {}),
    ],
)
def test_correlation_numbers_are_taken_out_of_words(words, plain, numbers):
    assert taken_apart(words) == (plain, tuple(numbers.items()))
    apart = taken_apart(with_particulars("it failed.", words, app=APP))
    assert apart == ("it failed.", (("app", APP), ("Microsoft's words", plain), *numbers.items()))


@pytest.mark.parametrize(
    "own",
    [{"resource_group": "my (old); group", "workspace": "soc"}, {"login": "https://login.example.org/a"}, {"app": ""}],
)
def test_each_particular_comes_back_as_it_was(own):
    apart = taken_apart(with_particulars("ms_auth['scope'] (it) is wrong.", "a Microsoft's words: b", **own))
    named = {name.replace("_", " "): value for name, value in own.items() if value}
    assert apart.sentence == "ms_auth['scope'] (it) is wrong."
    assert dict(apart.particulars) == {**named, "Microsoft's words": "a Microsoft's words: b"}


def test_a_text_without_particulars_is_the_sentence():
    assert taken_apart("it (mostly: often) failed") == ("it (mostly: often) failed", ())
