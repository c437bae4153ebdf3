"""``requirements.txt`` is what the lock says."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_requirements_are_exported_from_the_lock() -> None:
    uv = Path(sys.executable).with_name("uv")
    export = [uv, "export", "--frozen", "--no-default-groups", "--no-header", "--no-annotate", "--quiet"]

    exported = subprocess.run(export, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert (ROOT / "requirements.txt").read_text() == exported, "run `make docs`"
