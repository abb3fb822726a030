"""The templates of ``deploy/azure``, worked out as Azure does it: what the Function gets, and who may do what."""

from __future__ import annotations

import json
import re
import shlex
from itertools import takewhile
from pathlib import Path

import pytest

from deploy.azure.expressions import API_VERSIONS
from deploy.azure.made import files
from deploy.azure.roles import ROLES
from helpers.settings import environment, load
from tests.project.deploy.azure.arm import CLIENT, GROUP, PRINCIPAL, SUBSCRIPTION, WORKSPACE
from tests.project.deploy.azure.site import (
    EXAMPLE,
    FUNCTION,
    ROLE,
    SECRETS,
    VALUES,
    deployment,
    example,
    made,
    of_type,
    settings_of_the_template,
)

ROOT = Path(__file__).resolve().parents[4]
AZURE = ROOT / "deploy" / "azure"
OF_THE_HOST = re.compile(r"AzureWebJobsStorage__\w+|APPLICATIONINSIGHTS_\w+")
TENANTS = [
    {"tenantId": "one.example.org", "id": CLIENT, "secret": "o" * 40, "workspaceId": WORKSPACE},
    {"tenantId": "two.example.org", "id": CLIENT, "secret": "t" * 40, "workspaceId": PRINCIPAL},
]
ROLE_OF = {identifier: name for name, identifier in ROLES.items()}


def loaded(**more):
    settings = settings_of_the_template(**more)
    own = {key: value for key, value in settings.items() if not OF_THE_HOST.fullmatch(key)}
    assert own.pop("timerTriggerSchedule") == "0 17 2 * * *"
    found = load(None, {environment.FUNCTION_SIGNS[0]: "python", **own})
    assert not found.warnings
    return found.settings


# --- the files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [FUNCTION, ROLE, EXAMPLE])
def test_a_file_is_what_its_command_makes(name):
    assert (AZURE / name).read_text(encoding="utf-8") == files()[name], "run .venv/bin/python -m deploy.azure"


def test_the_example_says_all_that_must_be_said_but_for_the_secrets_which_az_asks_for():
    parameters = made(FUNCTION)["parameters"]
    needed = {name for name, parameter in parameters.items() if "defaultValue" not in parameter}
    secret = {name for name, parameter in parameters.items() if parameter["type"] == "securestring"}
    assert needed - secret <= example().keys() <= parameters.keys() - secret
    assert needed & secret == SECRETS.keys()


@pytest.mark.parametrize("name", [FUNCTION, ROLE])
def test_every_parameter_and_every_variable_is_used(name):
    template = made(name)
    expressions = json.dumps({key: template[key] for key in ("variables", "resources", "outputs")})
    named = [("parameters", each) for each in template["parameters"]] + [
        ("variables", each) for each in template["variables"]
    ]
    assert [each for each in named if f"{each[0]}('{each[1]}')" not in expressions] == []


def test_every_version_of_an_interface_is_used():
    resources = [*deployment().resources(), *deployment(ROLE).resources()]
    assert {each["type"]: each["apiVersion"] for each in resources} == API_VERSIONS


# --- the settings ----------------------------------------------------------------------------------


def test_the_program_takes_the_settings_as_one_destination_with_the_functions_identity():
    settings = loaded()
    assert settings.misp_domain == "https://misp.example.org"
    assert settings.misp_event_filters == example()["mispEventFilters"]
    assert settings.misp_key.get_secret_value() == SECRETS["mispKey"]
    assert settings.state_url == SECRETS["stateUrl"]
    auth = settings.ms_auth
    assert (auth.credential, auth.managed_identity_client_id, auth.workspace_id) == (
        "managed_identity",
        CLIENT,
        WORKSPACE,
    )


def test_tenants_take_the_place_of_the_functions_identity_and_of_its_role():
    settings = loaded(tenants=json.dumps(TENANTS))
    assert [tenant.workspaceId for tenant in settings.ms_tenants] == [WORKSPACE, PRINCIPAL]
    assert settings.ms_auth.credential == "secret"
    resources = deployment(tenants=json.dumps(TENANTS)).resources()
    assert of_type(resources, "Microsoft.Resources/deployments") == []
    assert "Microsoft Sentinel Contributor" not in {role for role, *_ in roles(resources)}


def test_what_is_set_besides_wins_and_a_ping_is_set_when_there_is_one():
    assert loaded().default_confidence == 50 and not loaded().on_success
    settings = loaded(
        onSuccess="https://ping.example.org/1",
        settings={"MISP2SENTINEL_DEFAULT_CONFIDENCE": "70", "MISP2SENTINEL_MISP_DOMAIN": "https://other.example.org"},
    )
    assert (settings.default_confidence, settings.misp_domain) == (70, "https://other.example.org")
    assert settings.on_success == "https://ping.example.org/1"


def test_the_host_signs_in_as_the_identity_and_has_no_key():
    own = {key: value for key, value in settings_of_the_template().items() if OF_THE_HOST.fullmatch(key)}
    (storage,) = of_type(deployment().resources(), "Microsoft.Storage/storageAccounts")
    # As Azure says where the account is: a name alone would be looked for in the domain of the public cloud.
    addresses = {key: value for key, value in own.items() if key.endswith("ServiceUri")}
    kinds = ("blob", "queue", "table")
    assert addresses == {
        f"AzureWebJobsStorage__{kind}ServiceUri": f"https://{kind}.storage.example.org/" for kind in kinds
    }
    assert not any("accountName" in key for key in own)
    assert own["AzureWebJobsStorage__clientId"] == CLIENT
    assert own["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"] == f"ClientId={CLIENT};Authorization=AAD"
    assert not storage["properties"]["allowSharedKeyAccess"]


# --- secrets ---------------------------------------------------------------------------------------


def test_a_secret_is_in_the_vault_and_nowhere_else():
    secrets = {**SECRETS, "tenants": json.dumps(TENANTS), "onSuccess": "https://ping.example.org/secret"}
    whole = deployment(**secrets)
    resources = whole.resources()
    kept = {each["properties"].pop("value") for each in of_type(resources, "Microsoft.KeyVault/vaults/secrets")}
    assert kept == set(secrets.values())
    text = json.dumps([resources, whole.outputs()], default=str)
    assert [secret for secret in secrets.values() if json.dumps(secret)[1:-1] in text] == []
    assert "listKeys" not in files()[FUNCTION]


def test_a_secret_that_is_not_said_is_not_in_the_vault():
    secrets = of_type(deployment().resources(), "Microsoft.KeyVault/vaults/secrets")
    assert sorted(each["name"].partition("/")[2] for each in secrets) == ["misp-key", "state-url"]


# --- roles -----------------------------------------------------------------------------------------


def roles(resources):
    """Each role that is given: its name, what it is for, by type and name, and who gets it."""
    return {
        (
            ROLE_OF[each["properties"]["roleDefinitionId"].rpartition("/")[2]],
            each["scope"].partition("/providers/")[2],
            each["properties"]["principalId"],
        )
        for each in of_type(resources, "Microsoft.Authorization/roleAssignments")
    }


def test_the_identity_has_a_role_for_each_thing_that_it_needs_and_for_no_more():
    resources = deployment().resources()
    storage, vault, insights = (
        of_type(resources, kind)[0]["id"].partition("/providers/")[2]
        for kind in ("Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults", "Microsoft.Insights/components")
    )
    assert roles(resources) == {
        ("Storage Blob Data Owner", storage, PRINCIPAL),
        ("Storage Table Data Contributor", storage, PRINCIPAL),
        ("Key Vault Secrets User", vault, PRINCIPAL),
        ("Monitoring Metrics Publisher", insights, PRINCIPAL),
        ("Microsoft Sentinel Contributor", "Microsoft.OperationalInsights/workspaces/soc-logs", PRINCIPAL),
    }


def test_the_role_for_sentinel_is_for_the_workspace_where_that_is():
    scopes = [role["scope"] for role in of_type(deployment().resources(), "Microsoft.Authorization/roleAssignments")]
    assert VALUES[FUNCTION]["workspaceResourceId"] in scopes
    (role,) = deployment(ROLE).resources()
    workspace = "providers/Microsoft.OperationalInsights/workspaces/soc-logs"
    assert role["scope"] == f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/{workspace}"
    assert roles([role]) == {("Microsoft Sentinel Contributor", workspace.partition("/")[2], PRINCIPAL)}


# --- the order and the names -----------------------------------------------------------------------


@pytest.mark.parametrize("tenants", ["", json.dumps(TENANTS)])
def test_all_that_a_resource_takes_is_there_before_it(tenants):
    resources = deployment(tenants=tenants).resources()
    before = {each["id"]: set(each.get("dependsOn", ())) for each in resources}
    for each in resources:
        parent = each["id"].rpartition("/")[0].rpartition("/")[0]
        taken = (each["asked"] | {parent, each.get("scope")}) & before.keys()
        assert taken <= before[each["id"]], f"{each['id']} needs {taken - before[each['id']]}"
    (site,) = of_type(resources, "Microsoft.Web/sites")
    granted = [each for each in of_type(resources, "Microsoft.Authorization/roleAssignments") if GROUP in each["id"]]
    assert {each["id"] for each in granted} <= before[site["id"]]


def test_whatever_is_waited_for_is_deployed():
    resources = deployment(tenants=json.dumps(TENANTS), onSuccess="https://ping.example.org/1").resources()
    ids = {each["id"] for each in resources}
    assert [needed for each in resources for needed in each.get("dependsOn", ()) if needed not in ids] == []


# Microsoft: "naming rules and restrictions for Azure resources".
RULES = {
    "Microsoft.KeyVault/vaults": r"[a-zA-Z](?!.*--)[a-zA-Z0-9-]{1,22}[a-zA-Z0-9]",
    "Microsoft.ManagedIdentity/userAssignedIdentities": r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,127}",
    "Microsoft.OperationalInsights/workspaces": r"[a-zA-Z0-9][a-zA-Z0-9-]{2,61}[a-zA-Z0-9]",
    "Microsoft.Resources/deployments": r"[\w.()-]{1,64}",
    "Microsoft.Storage/storageAccounts": r"[a-z0-9]{3,24}",
    "Microsoft.Web/serverfarms": r"[a-zA-Z0-9-]{1,60}",
    "Microsoft.Web/sites": r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,58}[a-zA-Z0-9])",
}


@pytest.mark.parametrize("name", ["a" * made(FUNCTION)["parameters"]["name"][f"{end}Length"] for end in ("min", "max")])
def test_every_name_is_one_that_azure_takes(name):
    for kind, rule in RULES.items():
        for each in of_type(deployment(name=name).resources(), kind):
            assert re.fullmatch(rule, each["name"]), f"{kind}: {each['name']}"


def test_the_outputs_are_what_the_next_commands_need():
    whole = deployment()
    (vault,) = of_type(whole.resources(), "Microsoft.KeyVault/vaults")
    assert whole.outputs() == {"functionApp": "soc-misp2sentinel", "vault": vault["name"], "principal": PRINCIPAL}


def test_a_subnet_is_only_named_where_there_is_one():
    subnet = (
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/soc/providers/Microsoft.Network/virtualNetworks/soc/subnets/sync"
    )
    for given, wanted in (("", None), (subnet, subnet)):
        (site,) = of_type(deployment(subnetResourceId=given).resources(), "Microsoft.Web/sites")
        assert site["properties"]["virtualNetworkSubnetId"] == wanted


# --- the docs --------------------------------------------------------------------------------------


def page(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def deployments():
    """The commands of the docs that deploy one of the templates, as words."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", page("azure-function.md"), re.DOTALL | re.MULTILINE)
    texts = [text for block in blocks for text in re.split(r"(?=^az )", block, flags=re.MULTILINE)]
    commands = [shlex.split(text, comments=True) for text in texts if text.startswith("az deployment group create")]
    return [command for command in commands if any(word.startswith("deploy/azure/") for word in command)]


def test_the_docs_deploy_both_templates_with_parameters_that_they_have():
    seen = set()
    for command in deployments():
        template = Path(command[command.index("--template-file") + 1]).name
        given = list(takewhile(lambda word: not word.startswith("--"), command[command.index("--parameters") + 1 :]))
        values = {word.partition("=")[0] for word in given if "=" in word}
        values |= {name for word in given if word == f"@deploy/azure/{EXAMPLE}" for name in example()}
        parameters = made(template)["parameters"]
        needed = {name for name, each in parameters.items() if "defaultValue" not in each and each["type"] == "string"}
        assert needed <= values <= parameters.keys()
        seen.add(template)
    assert seen == {FUNCTION, ROLE}


def test_the_page_names_every_parameter_and_its_default():
    table = page("azure-function.md").partition("\n### Its parameters\n")[2].partition("\n### ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.MULTILINE))
    parameters = made(FUNCTION)["parameters"]
    assert [name for name in parameters if name not in rows] == []
    plain = {
        name: str(each["defaultValue"])
        for name, each in parameters.items()
        if each["type"] == "string" and each.get("defaultValue")
    }
    assert [name for name, default in plain.items() if "(" not in default and f"`{default}`" not in rows[name]] == []
    secret = [name for name, each in parameters.items() if each["type"] == "securestring"]
    assert [name for name in secret if "secret" not in rows[name]] == []


def test_the_page_says_the_python_that_the_function_has():
    (site,) = of_type(deployment().resources(), "Microsoft.Web/sites")
    version = site["properties"]["functionAppConfig"]["runtime"]["version"]
    assert f"--runtime-version {version}" in page("azure-function.md")
