"""The documentation: its links lead somewhere, its tables say what the catalogue says."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
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


def test_the_readme_lists_every_operation_with_its_schedule() -> None:
    readme = (ROOT / "README.md").read_text()

    for name, table in OPERATIONS.items():
        assert f"| `{name}` | `{table['schedule']}` |" in readme


def test_every_section_that_the_code_cites_exists() -> None:
    domain = (ROOT / "docs/domain.md").read_text()
    sources = [*ROOT.glob("include/**/*.py"), *ROOT.glob("tests/**/*.py")]
    cited = {number for file in sources for number in re.findall(r"docs/domain\.md §(\d+)", file.read_text())}

    assert cited
    for number in cited:
        assert f"\n## {number}. " in domain


def test_every_verb_of_the_readme_is_in_the_makefile() -> None:
    verbs = set(re.findall(r"(?m)(?:^|`)make ([a-z-]+)", (ROOT / "README.md").read_text()))

    for verb in verbs:
        assert re.search(rf"(?m)^{verb}:", (ROOT / "Makefile").read_text()), verb
