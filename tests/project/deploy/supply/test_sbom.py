"""The list of what is shipped: CycloneDX' own schema takes it, and it says what the files of requirements say."""

from __future__ import annotations

import json

import pytest
from cyclonedx.validation.json import JsonStrictValidator

from constants import VERSION
from deploy.supply import SHIPPED
from deploy.supply import __main__ as command
from deploy.supply.pins import locked
from deploy.supply.sbom import SCHEMA


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Two of them, one after the other."""
    files = [tmp_path_factory.mktemp("sbom") / name for name in ("a.json", "b.json")]
    with pytest.MonkeyPatch.context() as patch:
        for file in files:
            patch.setattr("sys.argv", ["deploy.supply", "sbom", str(file)])
            assert command.main() == 0
    return [file.read_text(encoding="utf-8") for file in files]


@pytest.fixture(scope="module")
def document(texts):
    return json.loads(texts[0])


def test_the_same_pins_give_the_same_document_without_a_time(texts, document):
    assert texts[0] == texts[1]
    assert "timestamp" not in document["metadata"] and document["serialNumber"].startswith("urn:uuid:")


def test_the_schema_of_cyclonedx_takes_it_and_refuses_a_slip(texts):
    check = JsonStrictValidator(SCHEMA).validate_str
    assert check(texts[0]) is None
    assert check(texts[0].replace('"type": "library"', '"type": "book"', 1)) is not None


def test_it_names_this_version_and_each_package_with_its_hashes_and_licence(document):
    assert document["metadata"]["component"]["version"] == VERSION
    found = {(one["name"], one["version"]): one for one in document["components"]}
    pins = {(pin.name, pin.version): pin for pin in locked(SHIPPED) if "win32" not in pin.marker}
    assert found.keys() == pins.keys()
    for key, component in found.items():
        hashes = {f"sha256:{one['content']}" for one in component["externalReferences"][0]["hashes"]}
        assert (hashes, bool(component["licenses"])) == (pins[key].hashes, True)


def test_what_a_run_does_without_is_optional(document):
    scopes = {one["name"]: one["scope"] for one in document["components"]}
    assert [scopes[name] for name in ("requests", "apprise", "azure-functions")] == ["required", "optional", "optional"]


def test_it_says_what_came_by_what(document):
    names = {one["bom-ref"]: one["name"] for one in document["components"]} | {f"misp2sentinel@{VERSION}": "program"}
    came = {names[one["ref"]]: {names[ref] for ref in one.get("dependsOn", [])} for one in document["dependencies"]}
    assert {"pymisp", "requests", "misp-stix", "apprise"} <= came["program"] and "mixbox" not in came["program"]
    assert came["mixbox"] >= {"weakrefmethod", "lxml"}
    assert set().union(*came.values()) == set(names.values()) - {"program"}, "nothing is there without a reason"
