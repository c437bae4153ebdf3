"""The documentation: its links lead somewhere, its tables say what the catalogue says."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
CRITERIA = (
    "already installed",
    "web configuration",
    "execution history",
    "failure handling",
    "retries",
    "monitoring UI",
    "async tasks",
    "distributed",
    "performance",
    "community",
    "production readiness",
    "set-up",
    "maintenance",
)
OPERATIONS = tomllib.loads((ROOT / "include/operations.toml").read_text())["operations"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/adr/*.md")), ids=lambda page: page.name)
def test_a_decision_says_status_context_decision_and_consequences(page: Path) -> None:
    text = page.read_text()

    assert re.match(r"# \d{4} ", text)
    for part in ("**Status:**", "## Context", "## Decision", "## Consequences"):
        assert part in text


def test_the_operations_page_is_fresh() -> None:
    program = "import generate_dags; print(generate_dags.page(), end='')"

    fresh = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / "docs", capture_output=True, text=True, check=True
    ).stdout

    assert (ROOT / "docs/dags.md").read_text() == fresh, "run `make docs`"


def test_the_readme_lists_the_operations_of_the_catalogue_and_no_other() -> None:
    readme = (ROOT / "README.md").read_text()

    rows = re.findall(r"(?m)^\| `(\w+)` \| `(.+?)` \| (.+?) \| (.+?) \|$", readme)

    assert rows == [
        (name, table["schedule"], table["finish_within"], table["summary"])
        for name, table in OPERATIONS.items()
    ]


def test_every_section_that_is_cited_exists() -> None:
    domain = (ROOT / "docs/domain.md").read_text()
    sections = set(re.findall(r"(?m)^#{2,3} (\d+(?:\.\d+)?)\.? ", domain))
    sources = [
        file for room in ("include", "tests", "dags", "plugins") for file in ROOT.glob(f"{room}/**/*.py")
    ]

    elsewhere = {
        number
        for file in sources
        for citation in re.findall(r"docs/domain\.md ([§\d., and]+)", file.read_text())
        for number in re.findall(r"§(\d+(?:\.\d+)?)", citation)
    }
    within = set(re.findall(r"§(\d+(?:\.\d+)?)", domain))

    assert elsewhere
    assert elsewhere | within <= sections


def test_the_comparison_of_schedulers_leaves_no_criterion_out() -> None:
    text = (ROOT / "docs/adr/0001-airflow.md").read_text()
    (head,) = re.findall(r"(?m)^\| \| (cron .+) \|$", text)
    rows = dict(re.findall(r"(?m)^\| ([a-zA-Z][\w -]+?) \| (.+) \|$", text))

    assert [name.split()[0] for name in head.split(" | ")] == ["cron", "Django-Q2", "Celery", "Airflow"]
    for criterion in CRITERIA:
        assert len(rows[criterion].split(" | ")) == 4, criterion


def test_continuous_integration_runs_the_checks_and_the_readmes_test_command() -> None:
    script = (ROOT / ".ci/run").read_text()
    (command,) = re.findall(r"(?m)^(make test)\b", (ROOT / "README.md").read_text())

    assert script.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in script
    assert script.index("\nmake check\n") < script.index(command.replace("make", "make --no-print-directory"))


def test_every_verb_of_the_readme_is_in_the_makefile() -> None:
    verbs = set(re.findall(r"(?m)(?:^|`)make ([a-z-]+)", (ROOT / "README.md").read_text()))

    for verb in verbs:
        assert re.search(rf"(?m)^{verb}:", (ROOT / "Makefile").read_text()), verb
