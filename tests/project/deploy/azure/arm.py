"""What Azure Resource Manager makes of a template, as far as that can be said without an account.

Expressions are worked out as Microsoft's "ARM template functions" says; what Azure knows only once a resource is there
(``reference``) stands in ANSWERS.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, uuid5

Json = dict[str, Any]

SUBSCRIPTION = "55555555-5555-4555-8555-555555555555"
GROUP = "functions"
CLIENT = "66666666-6666-4666-8666-666666666666"
PRINCIPAL = "77777777-7777-4777-8777-777777777777"
WORKSPACE = "33333333-3333-4333-8333-333333333333"
ANSWERS: dict[str, Json] = {
    "Microsoft.ManagedIdentity/userAssignedIdentities": {"clientId": CLIENT, "principalId": PRINCIPAL},
    "Microsoft.OperationalInsights/workspaces": {"customerId": WORKSPACE},
    "Microsoft.Insights/components": {"ConnectionString": "InstrumentationKey=88888888-8888-4888-8888-888888888888"},
    "Microsoft.Storage/storageAccounts": {
        "primaryEndpoints": {name: f"https://{name}.storage.example.org/" for name in ("blob", "queue", "table")}
    },
}
_TOKEN = re.compile(r"\s*(?:'((?:[^']|'')*)'|(-?[0-9]+)|(\w+)|([(),.\[\]]))")


@dataclass
class Deployment:
    """A template with the values of its parameters, in a resource group."""

    template: Json
    values: Json
    subscription: str = SUBSCRIPTION
    group: str = GROUP
    asked: set[str] = field(default_factory=set)  # the ids whose state an expression has asked for

    def resources(self) -> list[Json]:
        """All that is deployed, worked out, each with its ``id`` and what it ``asked`` for, those within it too."""
        found = []
        for resource in self.template["resources"]:
            self.asked = set()
            # A template within the template is for whoever deploys it, with the names that it has there.
            inner = resource["properties"].get("template") if isinstance(resource.get("properties"), dict) else None
            own = {**resource, "properties": {**resource["properties"], "template": {}}} if inner else resource
            made = self.worked_out(own)
            if made.get("condition", True):
                found += [{**made, "id": self._id_of(made), "asked": self.asked}, *self._within(made, inner)]
        return found

    def outputs(self) -> Json:
        """What the deployment tells, by name."""
        return {name: self.worked_out(output["value"]) for name, output in self.template["outputs"].items()}

    def _within(self, made: Json, inner: Json | None) -> list[Json]:
        if not inner:
            return []
        values = {name: value["value"] for name, value in made["properties"]["parameters"].items()}
        return Deployment(inner, values, made["subscriptionId"], made["resourceGroup"]).resources()

    def _id_of(self, made: Json) -> str:
        names = made["name"].split("/")
        return (
            self._extension(made["scope"], made["type"], *names) if "scope" in made else self._own(made["type"], *names)
        )

    def worked_out(self, value: Any) -> Any:
        """The value with every expression in it worked out."""
        if isinstance(value, dict):
            return {self.worked_out(key): self.worked_out(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.worked_out(each) for each in value]
        if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
            return _Reader(self, value[1:-1]).all()
        return value

    def call(self, name: str, arguments: list[Any]) -> Any:
        """What a function of a template says."""
        return getattr(self, f"_{name.lower()}")(*arguments)

    # --- the functions ---------------------------------------------------------------------------------

    def _parameters(self, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        return self.worked_out(self.template["parameters"][name]["defaultValue"])

    def _variables(self, name: str) -> Any:
        return self.worked_out(self.template["variables"][name])

    def _resourcegroup(self) -> Json:
        return {"id": f"/subscriptions/{self.subscription}/resourceGroups/{self.group}", "location": "westeurope"}

    def _own(self, kind: str, *names: str) -> str:
        return self._extension(self._resourcegroup()["id"], kind, *names)

    _resourceid = _own

    def _subscriptionresourceid(self, kind: str, *names: str) -> str:
        return self._extension(f"/subscriptions/{self.subscription}", kind, *names)

    def _extension(self, scope: str, kind: str, *names: str) -> str:
        provider, *types = kind.split("/")
        assert len(types) == len(names), f"{kind} has {len(types)} names, not {len(names)}"
        pairs = [part for pair in zip(types, names, strict=True) for part in pair]
        return "/".join([scope, "providers", provider, *pairs])

    _extensionresourceid = _extension

    def _reference(self, identifier: str, version: str) -> Json:
        assert re.fullmatch(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", version)
        self.asked.add(identifier)
        *_, provider, kind, _name = identifier.split("/")
        return ANSWERS[f"{provider}/{kind}"]

    def _tenant(self) -> Json:
        return {"tenantId": "99999999-9999-4999-8999-999999999999"}

    def _uniquestring(self, *parts: str) -> str:
        return uuid5(NAMESPACE_URL, "|".join(parts)).hex[:13]

    def _guid(self, *parts: str) -> str:
        return str(uuid5(NAMESPACE_URL, "|".join(parts)))

    def _concat(self, *parts: str) -> str:
        assert all(isinstance(part, str) for part in parts)
        return "".join(parts)

    def _format(self, pattern: str, *parts: str) -> str:
        return pattern.format(*parts)

    def _if(self, condition: bool, then: Any, otherwise: Any) -> Any:
        return then if condition else otherwise

    def _not(self, condition: bool) -> bool:
        return not condition

    def _empty(self, value: Any) -> bool:
        return not value

    def _null(self) -> None:
        return None

    def _json(self, value: str) -> Any:
        return json.loads(value)

    def _string(self, value: Any) -> str:
        return json.dumps(value)

    def _split(self, value: str, separator: str) -> list[str]:
        return value.split(separator)

    def _last(self, value: list[str]) -> str:
        return value[-1]

    def _createobject(self, *pairs: Any) -> Json:
        return dict(zip(pairs[::2], pairs[1::2], strict=True))

    def _union(self, *objects: Json) -> Json:
        return {key: value for each in objects for key, value in each.items()}


class _Reader:
    """One expression, read from left to right."""

    def __init__(self, deployment: Deployment, expression: str) -> None:
        self.deployment = deployment
        self.tokens = [match.groups() for match in _TOKEN.finditer(expression)]
        assert "".join(match[0] for match in _TOKEN.finditer(expression)) == expression, expression

    def all(self) -> Any:
        value = self._value()
        assert not self.tokens, self.tokens
        return value

    def _value(self) -> Any:
        quoted, number, word, _ = self.tokens.pop(0)
        if quoted is not None:
            return quoted.replace("''", "'")
        if number:
            return int(number)
        value = self.deployment.call(word, self._arguments())
        while self._next() in (".", "["):
            value = value[self._step()]
        return value

    def _next(self) -> str | None:
        return self.tokens[0][3] if self.tokens else None

    def _arguments(self) -> list[Any]:
        self._take("(")
        arguments = []
        while self._next() != ")":
            arguments.append(self._value())
            if self._next() == ",":
                self._take(",")
        self._take(")")
        return arguments

    def _step(self) -> Any:
        if self._next() == ".":
            self._take(".")
            return self.tokens.pop(0)[2]
        self._take("[")
        index = self._value()
        self._take("]")
        return index

    def _take(self, sign: str) -> None:
        assert self.tokens.pop(0)[3] == sign
