"""All DAGs, parsed once in a process of their own: Airflow's settings must not meet Django's."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What parsing every DAG file shows, and which heavy modules it imported."""
    environment = {
        "PATH": os.environ["PATH"],
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "AIRFLOW_DJANGO_CATALOGUE": str(ROOT / "include/operations.toml"),
        "PYTHONPATH": str(ROOT / "plugins"),
    }
    run = subprocess.run(
        [sys.executable, Path(__file__).with_name("describe.py")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found
