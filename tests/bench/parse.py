"""
``make bench-parse``: all DAG files beside as many trivial ones, in one process, round by round.

What is measured is what the DAG processor does to a file again and again: check it, execute it, serialise
its DAG. Airflow itself is imported before. The median of the rounds' ratios is printed last.
"""

import logging
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import structlog

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 100
TRIVIAL = '''"""A trivial DAG."""

import datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    dag_id="trivial_{number}",
    schedule="0 {number} * * *",
    start_date=datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc),
    catchup=False,
    max_active_runs=1,
):
    BashOperator(task_id="run", bash_command="true")
'''


def parse(files: list[Path]) -> float:
    """Do to each file what the DAG processor does; returns seconds."""
    from airflow.dag_processing.processor import DagFileParseRequest, _parse_file

    log = structlog.get_logger()
    started = time.perf_counter()
    for file in files:
        request = DagFileParseRequest(file=str(file), bundle_path=file.parent, bundle_name="bench")
        result = _parse_file(request, log)
        assert result is not None
        assert not result.import_errors, result.import_errors
        assert len(result.serialized_dags) == 1
    return time.perf_counter() - started


def main() -> None:
    # A parse logs a line; writing it would be measured too.
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    ours = sorted((ROOT / "dags").glob("*.py"))
    with tempfile.TemporaryDirectory() as folder:
        trivial = [Path(folder) / f"trivial_{number}.py" for number in range(len(ours))]
        for number, file in enumerate(trivial):
            file.write_text(TRIVIAL.format(number=number))
        parse(ours), parse(trivial)
        pairs = [(parse(ours), parse(trivial)) for _ in range(ROUNDS)]
    ratio = statistics.median(mine / theirs for mine, theirs in pairs)
    for label, column in (("ours", 0), ("trivial", 1)):
        print(
            f"{label:<8}{statistics.median(pair[column] for pair in pairs) * 1000 / len(ours):.2f} ms a file"
        )
    imported = "yes" if "django" in sys.modules else "no"
    print(f"bench-parse: ratio {ratio:.2f}, django_imported {imported}")


if __name__ == "__main__":
    os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="bench-airflow-"))
    os.environ.setdefault("AIRFLOW__CORE__PLUGINS_FOLDER", str(ROOT / "plugins"))
    os.environ.setdefault("AIRFLOW_DJANGO_CATALOGUE", str(ROOT / "include/operations.toml"))
    sys.path.insert(0, str(ROOT / "plugins"))
    main()
