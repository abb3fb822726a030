"""Holds the templates to Microsoft's schemas: ``python -m tests.project.deploy.azure.schemas DIRECTORY``.

The directory is a clone of https://github.com/Azure/azure-resource-manager-schemas, some hundred megabytes; nothing is
fetched. What is checked are the resources as Azure gets them, with every expression worked out. A property that the
schemas do not name is wrong too, though they would let it pass.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator
from referencing import Registry
from referencing.jsonschema import DRAFT4

from deploy.azure.made import files
from tests.project.deploy.azure.arm import Deployment, Json
from tests.project.deploy.azure.site import VALUES, made

_HOST = "https://schema.management.azure.com/"
_OF_ANY = ("condition", "dependsOn", "scope", "subscriptionId", "resourceGroup", "id", "asked")
_FILES = {"Microsoft.Insights": "Microsoft.Insights.Application"}  # the schema of a provider that has several


def faults_of(name: str, directory: Path) -> list[str]:
    """What is wrong with a file of ``deploy/azure``, one sentence each."""
    schemas, whole = _Schemas(directory), made(name)
    resources = Deployment(whole, VALUES[name]).resources() if "resources" in whole else []
    found = [f"{name}: {words}" for words in schemas.faults_of_file(whole)]
    return found + [f"{name}: {each['type']}: {words}" for each in resources for words in schemas.faults(each)]


class _Schemas:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.registry: Registry[Any] = Registry(retrieve=lambda uri: DRAFT4.create_resource(self._read(uri)))

    def faults_of_file(self, whole: Json) -> list[str]:
        """What is wrong with a file, apart from its resources."""
        schema = self._read(whole["$schema"])
        schema["properties"]["resources"] = {}
        return self._problems(schema, whole)

    def faults(self, resource: Json) -> list[str]:
        """What is wrong with a resource."""
        provider = resource["type"].partition("/")[0]
        schema = self._read(f"{_HOST}schemas/{resource['apiVersion']}/{_FILES.get(provider, provider)}.json")
        definition = _definition(schema, resource["type"])
        if not definition:
            return [f"is not there at {resource['apiVersion']}"]
        own = {key: value for key, value in resource.items() if key not in _OF_ANY}
        # Some schemas of a resource within another know its whole name, some only the last part.
        names = {own["name"], own["name"].rpartition("/")[2]}
        return min((self._problems({**schema, **definition}, {**own, "name": name}) for name in names), key=len)

    def _problems(self, schema: Json, content: Json) -> list[str]:
        errors = Draft4Validator(_closed(schema), registry=self.registry).iter_errors(_said(content))
        return [_deepest(error) for error in errors]

    def _read(self, uri: str) -> Json:
        path = self.directory / uri.removeprefix(_HOST).partition("#")[0]
        read: Json = json.loads(path.read_text(encoding="utf-8"))
        return read


def _definition(schema: Json, kind: str) -> Json:
    """The definition of a type of resource, in a resource group before elsewhere, with all its forms."""
    sections = [name for name in schema if name.lower().endswith("resourcedefinitions")]
    every = [each for name in sorted(sections, key=len) for each in schema[name].values()]
    found: Json = next((each for each in every if each["properties"]["type"].get("enum") == [kind]), {})
    if "oneOf" not in found:
        return found
    return {"oneOf": [{**form, "properties": found["properties"] | form["properties"]} for form in found["oneOf"]]}


def _closed(schema: Any) -> Any:
    """The schema so that an object has only those properties that it names."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    names_them = schema.get("type") == "object" and schema.get("properties")
    return {"additionalProperties": False, **closed} if names_them else closed


def _said(content: Any) -> Any:
    """The content without its nulls, which are as if nothing was said."""
    if isinstance(content, list):
        return [_said(each) for each in content]
    if isinstance(content, dict):
        return {key: _said(value) for key, value in content.items() if value is not None}
    return content


def _deepest(error: Any) -> str:
    """The words of the error within an error that says most: that of the form which fits best."""
    while error.context:
        error = max(error.context, key=lambda each: len(each.absolute_path))
    return f"{'.'.join(map(str, error.absolute_path)) or 'itself'}: {error.message[:200]}"


if __name__ == "__main__":
    wrong = [words for name in files() for words in faults_of(name, Path(sys.argv[1]))]
    print("\n".join(wrong) or "The templates are as Microsoft's schemas want them.")
    sys.exit(bool(wrong))
