"""Write ``docs/dags.md`` from the DAG files' docstrings and the catalogue, without importing Airflow."""

import ast
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HEAD = "# The operations\n\nGenerated from `dags/` and `include/operations.toml` by `make docs`.\n"
ROWS = (
    ("schedule", "schedule"),
    ("finish_within", "finish within"),
    ("grace", "missed if not started within"),
    ("retries", "retries"),
    ("pool", "pool"),
    ("queue", "queue"),
    ("owner", "owner"),
    ("writes", "writes"),
    ("run_types", "may be run as"),
)


def page() -> str:
    """The whole page."""
    catalogue = tomllib.loads((ROOT / "include/operations.toml").read_text())
    parts = [_section(name, table, catalogue["timezone"]) for name, table in catalogue["operations"].items()]
    return "\n".join([HEAD, *parts])


def _section(name: str, table: dict[str, Any], zone: str) -> str:
    doc = ast.get_docstring(ast.parse((ROOT / "dags" / f"{name}.py").read_text())) or ""
    facts = "\n".join(f"| {label} | {_cell(table[key], key, zone)} |" for key, label in ROWS)
    return f"## {name}\n\n| | |\n|---|---|\n{facts}\n\n{doc.replace('## ', '### ')}\n"


def _cell(value: Any, key: str, zone: str) -> str:
    if key == "schedule":
        return f"`{value}` ({zone})"
    return ", ".join(value) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    (ROOT / "docs" / "dags.md").write_text(page())
