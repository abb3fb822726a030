"""ARM templates that put the workbook and the rules into a workspace."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
_WORKSPACE = "resourceId('Microsoft.OperationalInsights/workspaces', parameters('workspace'))"
_OPERATORS = {"gt": "GreaterThan", "lt": "LessThan", "eq": "Equal", "ne": "NotEqual"}
_AS_THEY_ARE = (
    *("description", "severity", "triggerThreshold", "tactics"),
    *("entityMappings", "customDetails", "eventGroupingSettings"),
)
_NAME = "MISP2Sentinel"


def workbook_template(workbook: Json) -> Json:
    """Return the template of the workbook, which deploying it again replaces."""
    resource = {
        "type": "Microsoft.Insights/workbooks",
        "apiVersion": "2023-06-01",
        "name": f"[guid({_WORKSPACE}, '{_NAME}')]",
        "location": "[resourceGroup().location]",
        "kind": "shared",
        "properties": {
            "displayName": "Indicators from MISP",
            "category": "sentinel",
            "sourceId": f"[{_WORKSPACE}]",
            "version": "Notebook/1.0",
            "serializedData": (
                "[string(union(variables('workbook'), "
                f"createObject('fallbackResourceIds', createArray({_WORKSPACE}))))]"
            ),
        },
    }
    return _template({}, {"workbook": workbook}, [resource])


def rules_template(rules: Mapping[str, Json]) -> Json:
    """Return the template of the analytics rules, which are replaced when it is deployed again."""
    source = {"source": _parameter("The setting sourcesystem", "MISP")}
    queries = {name: rule["query"] for name, rule in rules.items()}
    return _template(source, {"queries": queries}, [_rule(name, rule) for name, rule in rules.items()])


def _template(parameters: Json, variables: Json, resources: list[Json]) -> Json:
    workspace = _parameter("Name of the Log Analytics workspace that Sentinel is on")
    return {
        "$schema": _SCHEMA,
        "contentVersion": "1.0.0.0",
        "parameters": {"workspace": workspace, **parameters},
        "variables": variables,
        "resources": resources,
    }


def _parameter(description: str, default: str = "") -> Json:
    known = {"defaultValue": default} if default else {}
    return {"type": "string", **known, "metadata": {"description": description}}


def _rule(name: str, rule: Json) -> Json:
    properties = {
        "displayName": rule["name"],
        "enabled": True,
        "query": _query(name),
        "queryFrequency": iso(rule["queryFrequency"]),
        "queryPeriod": iso(rule["queryPeriod"]),
        "triggerOperator": _OPERATORS[rule["triggerOperator"]],
        "suppressionEnabled": rule.get("suppressionEnabled", False),
        "suppressionDuration": iso(rule.get("suppressionDuration", "5h")),
        "techniques": rule["relevantTechniques"],
        **{key: rule[key] for key in _AS_THEY_ARE if key in rule},
    }
    if "incidentConfiguration" in rule:
        properties["incidentConfiguration"] = _incidents(rule["incidentConfiguration"])
    return {
        "type": "Microsoft.SecurityInsights/alertRules",
        "apiVersion": "2025-09-01",
        "name": rule["id"],
        "scope": f"[{_WORKSPACE}]",
        "kind": rule["kind"],
        "properties": properties,
    }


def _incidents(configuration: Json) -> Json:
    grouping = configuration["groupingConfiguration"]
    grouping = {**grouping, "lookbackDuration": iso(grouping["lookbackDuration"])}
    return {**configuration, "groupingConfiguration": grouping}


def _query(name: str) -> str:
    """Return the expression for a rule's query, with the source that the deployment names."""
    source = "concat('let source = \"', parameters('source'), '\";')"
    return f"[replace(variables('queries')['{name}'], 'let source = \"MISP\";', {source})]"


def iso(duration: str) -> str:
    """Return a duration as ISO 8601 has it: 14d is P14D, 1h is PT1H; ValueError for any other form."""
    number = re.fullmatch(r"([0-9]+)([dhm])", duration)
    if not number:
        raise ValueError(f"not a duration: {duration}")
    return f"P{'' if number[2] == 'd' else 'T'}{number[1]}{number[2].upper()}"
