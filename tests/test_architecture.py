"""Who may import whom, and that parsing a DAG stays free of Django."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_import_rules_hold() -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'include/django_app'}{os.pathsep}{ROOT / 'plugins'}"}

    run = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout


def test_no_room_is_called_utils_common_or_helpers() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    rooms = {part for line in tracked.splitlines() for part in Path(line).with_suffix("").parts}

    assert not rooms & {"utils", "common", "helpers"}
