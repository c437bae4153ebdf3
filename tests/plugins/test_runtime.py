"""Commands of a project that knows nothing of ours, in this process's kind and in another interpreter's."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_django.outcome import CommandForAPerson, CommandForLater, failure
from airflow_django.runtime import LineWriter, run_in_interpreter

ROOT = Path(__file__).resolve().parents[2]
PROJECT = Path(__file__).with_name("minimal_project")

# Django can be set up once in a process, and the tests' own has another project in it.
IN_PROCESS = """
import dataclasses, json, logging, sys
from pathlib import Path
from airflow_django.runtime import run_in_process
logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="LOG %(message)s", force=True)
outcome = run_in_process(project=Path({project!r}), settings_module={settings!r}, command={command!r},
                         arguments={arguments!r}, log=logging.getLogger("task"))
print(json.dumps(dataclasses.asdict(outcome)))
"""


def _in_process(
    *arguments: str, command: str = "sell", project: Path = PROJECT, settings: str = "minimal.settings"
) -> tuple[dict[str, Any], str]:
    program = IN_PROCESS.format(
        project=str(project), settings=settings, command=command, arguments=list(arguments)
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "plugins")}
    run = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found, run.stderr


def _in_interpreter(*arguments: str) -> dict[str, Any]:
    outcome = run_in_interpreter(
        interpreter=sys.executable,
        project=PROJECT,
        settings_module="minimal.settings",
        command="sell",
        arguments=arguments,
        log=logging.getLogger("task"),
    )
    return {"exit_code": outcome.exit_code, "error": outcome.error, "result": outcome.result}


@pytest.mark.parametrize("run", [lambda *a: _in_process(*a)[0], _in_interpreter])
@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        ([], 0, ""),
        (["--end=command-error"], 65, "no such shop"),
        (["--end=exit-75"], 75, ""),
        (["--on=not-a-day"], 64, "--on"),
        (["--unknown=1"], 64, "--unknown"),
        (["--end=crash"], 1, "boom"),
    ],
)
def test_exit_codes_are_the_same_either_way(run: Any, arguments: list[str], code: int, error: str) -> None:
    outcome = run(*arguments)

    assert outcome["exit_code"] == code
    assert error in outcome["error"]


def test_the_last_json_line_is_the_result_and_types_are_converted() -> None:
    outcome, _ = _in_process("--on=2026-03-01", "--loud")

    assert outcome["result"]["on"] == "2026-03-01"
    assert outcome["result"]["loud"] == "True"


def test_every_line_is_logged_though_the_project_switches_loggers_off() -> None:
    _, log = _in_process()

    assert "LOG selling" in log
    assert "LOG a line for people" in log


def test_a_lost_database_is_for_later() -> None:
    outcome, _ = _in_process("--end=database-away")

    assert (outcome["exit_code"], "connection refused" in outcome["error"]) == (75, True)


def test_a_missing_command_and_a_wrong_folder_are_misconfigured(tmp_path: Path) -> None:
    assert _in_process(command="nothing")[0]["exit_code"] == 78
    outcome, _ = _in_process(project=tmp_path)
    assert outcome["exit_code"] == 78
    assert str(tmp_path) in outcome["error"]


def test_a_package_of_the_same_name_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manage.py").write_text("")

    outcome, _ = _in_process(project=tmp_path, settings="json.settings")

    assert outcome["exit_code"] == 78
    assert "'json' is not the one in" in outcome["error"]


@pytest.mark.parametrize(
    ("code", "kind"), [(64, CommandForAPerson), (65, CommandForAPerson), (78, CommandForAPerson)]
)
def test_what_needs_a_person_is_never_retried(code: int, kind: type[Exception]) -> None:
    assert type(failure("x", code)) is kind


@pytest.mark.parametrize("code", [1, 2, 75, 137])
def test_everything_else_is_retried(code: int) -> None:
    assert type(failure("", code)) is CommandForLater
    assert str(code) in str(failure("", code))


def test_lines_written_in_pieces_are_handed_on_whole() -> None:
    lines: list[str] = []
    writer = LineWriter(lines.append)

    writer.write("one\ntw")
    writer.write('o\n\n{"a": 1}')
    writer.close()

    assert lines == ["one", "two", '{"a": 1}']
    assert writer.result() == {"a": 1}
