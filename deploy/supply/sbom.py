"""What is shipped, as a CycloneDX document: the same pins give the same document, byte by byte."""

from __future__ import annotations

import json
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from constants import VERSION
from deploy.supply import SHIPPED
from deploy.supply.licences import shipped
from deploy.supply.pins import EXTRAS_OF_SHIPPED, Pin, asked_for, locked

SCHEMA = SchemaVersion.V1_6


def document() -> str:
    """Return the document as JSON, without a time."""
    made = json.loads(make_outputter(_bom(), OutputFormat.JSON, SCHEMA).output_as_string())
    del made["metadata"]["timestamp"], made["serialNumber"]
    made["serialNumber"] = f"urn:uuid:{uuid5(NAMESPACE_URL, json.dumps(made, sort_keys=True))}"
    return json.dumps(made, indent=2, sort_keys=True) + "\n"


def _bom() -> Bom:
    """Return the program with all that it may bring along, and what came by what."""
    licences, needed = shipped(), {pin.name for pin in locked("requirements.txt")}
    components = {pin: _component(pin, licences[pin.name], needed) for pin in locked(SHIPPED) if pin.name in licences}
    program = _program()
    bom = Bom(components=components.values(), metadata=BomMetaData(component=program))
    asked = {canonicalize_name(Requirement(line).name) for line in asked_for(EXTRAS_OF_SHIPPED)}
    bom.register_dependency(program, [its for pin, its in components.items() if pin.name in asked])
    for pin, component in components.items():
        bom.register_dependency(component, [its for other, its in components.items() if pin.name in other.via])
    return bom


def _program() -> Component:
    name = f"misp2sentinel@{VERSION}"
    licence = LicenseFactory().make_from_string("MIT")
    kind = ComponentType.APPLICATION
    return Component(name="misp2sentinel", version=VERSION, type=kind, bom_ref=name, licenses=[licence])


def _component(pin: Pin, licence: str, needed: set[str]) -> Component:
    """Return one package, which is optional where a run does without it."""
    purl = PackageURL("pypi", name=pin.name, version=pin.version)
    return Component(
        name=pin.name,
        version=pin.version,
        bom_ref=str(purl),
        purl=purl,
        scope=ComponentScope.REQUIRED if pin.name in needed else ComponentScope.OPTIONAL,
        licenses=[LicenseFactory().make_from_string(licence)],
        external_references=[_archives(pin)],
    )


def _archives(pin: Pin) -> ExternalReference:
    """Return where PyPI has a package, with the hash of each archive that pip may take."""
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=one.partition(":")[2]) for one in sorted(pin.hashes)]
    place = XsUri(f"https://pypi.org/simple/{pin.name}/")
    return ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=place, hashes=hashes)
