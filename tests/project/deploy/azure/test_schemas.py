"""The command that holds the templates to Microsoft's schemas, with schemas as theirs are, but small."""

from __future__ import annotations

import json

import pytest

from deploy.azure.expressions import API_VERSIONS
from tests.project.deploy.azure.schemas import faults_of
from tests.project.deploy.azure.site import ROLE, made

ASSIGNMENTS = "Microsoft.Authorization/roleAssignments"


@pytest.fixture
def clone(tmp_path):
    """A directory with the schemas of the role's template, in which a role assignment has these properties."""

    def with_properties(**properties):
        version = API_VERSIONS[ASSIGNMENTS]
        whole = {"type": "object", "properties": {key: {} for key in made(ROLE)}}
        definition = {
            "type": "object",
            "properties": {
                "type": {"enum": [ASSIGNMENTS]},
                **{key: {"type": "string"} for key in ("apiVersion", "name")},
                "properties": {"oneOf": [{"$ref": "#/definitions/Properties"}, {"type": "string"}]},
            },
        }
        schema = {
            "id": f"https://schema.management.azure.com/schemas/{version}/Microsoft.Authorization.json#",
            "unknown_resourceDefinitions": {"roleAssignments": definition},
            "definitions": {"Properties": {"type": "object", "properties": properties}},
        }
        contents = {"2019-04-01/deploymentTemplate": whole, f"{version}/Microsoft.Authorization": schema}
        for name, content in contents.items():
            path = tmp_path / "schemas" / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
        return tmp_path

    return with_properties


TEXT = {"type": "string"}
PRINCIPALS = {"oneOf": [{"enum": ["User", "ServicePrincipal"]}, {"type": "object"}]}
PROPERTIES = {"roleDefinitionId": TEXT, "principalId": TEXT, "principalType": PRINCIPALS}


def test_a_template_that_is_as_the_schemas_say_has_no_fault(clone):
    assert faults_of(ROLE, clone(**PROPERTIES)) == []


def test_a_value_that_is_none_of_those_is_said(clone):
    (fault,) = faults_of(ROLE, clone(**PROPERTIES | {"principalType": {"enum": ["User"]}}))
    assert fault == f"{ROLE}: {ASSIGNMENTS}: properties.principalType: 'ServicePrincipal' is not one of ['User']"


def test_a_property_that_the_schema_does_not_name_is_said(clone):
    (fault,) = faults_of(ROLE, clone(**{key: value for key, value in PROPERTIES.items() if key != "principalType"}))
    assert "'principalType' was unexpected" in fault


def test_a_type_that_is_not_there_at_its_version_is_said(clone):
    directory = clone(**PROPERTIES)
    path = directory / "schemas" / API_VERSIONS[ASSIGNMENTS] / "Microsoft.Authorization.json"
    path.write_text(path.read_text().replace("roleAssignments", "roleDefinitions"))
    assert faults_of(ROLE, directory) == [f"{ROLE}: {ASSIGNMENTS}: is not there at {API_VERSIONS[ASSIGNMENTS]}"]
