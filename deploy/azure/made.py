"""Makes the JSON files beside it, the same ones each time."""

from __future__ import annotations

import json

from deploy.azure.templates import example_parameters, function_template, role_template


def files() -> dict[str, str]:
    """Return what is in each file, by its name."""
    made = {
        "function.template.json": function_template(),
        "function.parameters.json": example_parameters(),
        "role.template.json": role_template(),
    }
    return {name: json.dumps(content, indent=2) + "\n" for name, content in made.items()}
