"""ms_cloud: which hosts and scope a cloud gives, and what it refuses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from helpers.errors import SettingsError
from helpers.microsoft.upload_api import UploadApi
from helpers.settings import MsAuth, Settings, clouds, load
from helpers.settings.environment import variable
from helpers.settings.sections import Endpoints

GUID = "11111111-2222-4333-8444-555555555555"
ENVIRON = {
    "MISP2SENTINEL_MISP_DOMAIN": "https://misp.example.org",
    "MISP2SENTINEL_MISP_KEY": "k" * 40,
    "MISP2SENTINEL_MS_AUTH__TENANT": "example.org",
    "MISP2SENTINEL_MS_AUTH__CLIENT_ID": GUID.replace("1", "2"),
    "MISP2SENTINEL_MS_AUTH__CLIENT_SECRET": "s3cr3t",
    "MISP2SENTINEL_MS_AUTH__WORKSPACE_ID": GUID,
}
USGOV = {
    "authority": "https://login.microsoftonline.us",
    "upload": "https://api.ti.sentinel.azure.us",
    "upload_legacy": "",
    "graph": "https://graph.microsoft.us/beta",
    "management": "https://management.usgovcloudapi.net",
    "log_analytics": "",
}


def loaded(**more):
    return load(Path(os.devnull), ENVIRON | {variable(name): value for name, value in more.items()})


def problems(**more):
    with pytest.raises(SettingsError) as caught:
        loaded(**more)
    return caught.value.problems


def test_the_public_cloud_is_the_default():
    settings = loaded().settings
    assert settings.ms_cloud == clouds.DEFAULT
    assert settings.ms_endpoints == Endpoints()
    assert settings.ms_auth.scope == MsAuth().scope == "https://management.azure.com/.default"
    assert settings.model_dump() == loaded(ms_cloud="public").settings.model_dump()


def test_the_government_cloud_has_hosts_and_a_scope_of_its_own():
    settings = loaded(ms_cloud="usgov").settings
    assert settings.ms_endpoints.model_dump() == USGOV
    assert settings.ms_auth.scope == "https://management.usgovcloudapi.net/.default"
    assert settings.source_of("ms_endpoints.upload") == "default"
    expected = f"https://api.ti.sentinel.azure.us/workspaces/{GUID}/threat-intelligence-stix-objects:upload"
    assert UploadApi(settings).url().startswith(expected)


def test_settings_made_by_hand_follow_their_cloud_too():
    settings = Settings.model_validate({"ms_cloud": "usgov", "ms_endpoints": {"graph": "https://graph.example.org"}})
    assert settings.ms_endpoints.model_dump() == USGOV | {"graph": "https://graph.example.org"}
    assert Settings().ms_endpoints == Settings(ms_endpoints=Endpoints()).ms_endpoints


@pytest.mark.parametrize("key", USGOV)
def test_each_host_is_overridden_by_itself(key):
    settings = loaded(**{"ms_cloud": "usgov", f"ms_endpoints.{key}": "https://other.example.org"}).settings
    assert settings.ms_endpoints.model_dump() == USGOV | {key: "https://other.example.org"}


def test_the_scope_is_overridden_by_itself():
    settings = loaded(**{"ms_cloud": "usgov", "ms_auth.scope": "https://other.example.org/.default"}).settings
    assert settings.ms_auth.scope == "https://other.example.org/.default"
    assert settings.ms_endpoints.model_dump() == USGOV


@pytest.mark.parametrize("name", ["china", "China", "mooncake", "21vianet", "azurechina", "AzureChinaCloud"])
def test_a_retired_cloud_says_that_it_is(name):
    (problem,) = problems(ms_cloud=name)
    assert problem.startswith("ms_cloud (environment MISP2SENTINEL_MS_CLOUD) ")
    assert "retired on 18 August 2026" in problem


@pytest.mark.parametrize("name", ["germany", "gcc", "GCCHigh", "usgov2", "Public"])
def test_an_unknown_cloud_says_which_there_are(name):
    (problem,) = problems(ms_cloud=name)
    assert "public" in problem and "usgov" in problem and name not in problem.partition(") ")[2].split()


def test_the_legacy_api_has_no_known_host_in_the_government_cloud():
    legacy = {"ms_cloud": "usgov", "ms_auth.new_upload_api": "false"}
    (problem,) = problems(**legacy)
    assert problem.startswith("ms_auth['new_upload_api'] (")
    assert "ms_endpoints['upload_legacy']" in problem
    settings = loaded(**legacy, **{"ms_endpoints.upload_legacy": "https://legacy.example.org"}).settings
    assert UploadApi(settings).url().startswith("https://legacy.example.org/")


def test_the_graph_api_has_no_indicators_in_the_government_cloud():
    by_name = dict(clouds.problems({"ms_cloud": "usgov", "ms_auth.graph_api": True}))
    assert "Azure US Government" in by_name["ms_auth.graph_api"]
    assert not dict(clouds.problems({"ms_auth.graph_api": True}))


@pytest.mark.parametrize("key", ["authority", "upload", "graph", "management"])
def test_a_host_left_over_from_another_cloud_is_an_error(key):
    host = getattr(Endpoints(), key)
    (problem,) = problems(**{"ms_cloud": "usgov", f"ms_endpoints.{key}": f"{host}/"})
    assert problem.startswith(f"ms_endpoints['{key}'] (") and "the public cloud" in problem
    (problem,) = problems(**{"ms_cloud": "public", f"ms_endpoints.{key}": USGOV[key]})
    assert "Azure US Government" in problem


def test_a_scope_left_over_from_another_cloud_is_an_error():
    (problem,) = problems(**{"ms_cloud": "usgov", "ms_auth.scope": MsAuth().scope})
    assert problem.startswith("ms_auth['scope'] (")


def test_hosts_of_the_government_cloud_are_fine_where_no_cloud_is_named():
    settings = loaded(**{f"ms_endpoints.{key}": host for key, host in USGOV.items()}).settings
    assert settings.ms_endpoints.authority == USGOV["authority"]


def test_problems_of_the_cloud_are_reported_with_the_others():
    reported = problems(**{"ms_cloud": "usgov", "ms_auth.new_upload_api": "false", "days_to_expire": "soon"})
    assert sorted(problem.split()[0] for problem in reported) == ["days_to_expire", "ms_auth['new_upload_api']"]
