"""What the site has, in the order in which it is listed beside each page."""

from __future__ import annotations

FRONT = "docs/index.md"
# Each page by its path in the repository, under the heading that it is listed under.
CONTENTS = {
    "Start": ("docs/install.md", "docs/configure.md", "docs/operate.md", "docs/troubleshoot.md"),
    "Moving": ("docs/coming-from-misp2sentinel.md", "docs/upgrade.md", "docs/move.md"),
    "What it does": (
        "docs/how-it-decides.md",
        "docs/ledger.md",
        "docs/actors-and-techniques.md",
        "docs/sentinel.md",
        "docs/stories.md",
        "docs/sightings.md",
    ),
    "Other ways to run": (
        "docs/deploy.md",
        "docs/azure-function.md",
        "docs/misp-workflow.md",
        "docs/identities.md",
        "docs/destinations.md",
        "docs/graph.md",
        "docs/monitor.md",
        "docs/performance.md",
    ),
    "About the project": (
        "docs/architecture.md",
        "docs/dependencies.md",
        "docs/supply-chain.md",
        "CONTRIBUTING.md",
        "CODE_OF_CONDUCT.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "LICENSE",
    ),
    "Words": ("docs/glossary.md",),
}
PAGES = (FRONT, *(page for pages in CONTENTS.values() for page in pages))
