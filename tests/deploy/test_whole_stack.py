"""`make up`, `status` and `down` as a person types them, with all of Airflow and the first runs."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from deploy.embedded import supervisor
from deploy.embedded.airflow_api import AirflowApi
from deploy.embedded.down import processes
from deploy.embedded.stack import Stack, StackError
from tests.e2e.stack import PORTS, free_ports

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
OURS = ("TAXOPS_", "DJANGO_", "AIRFLOW", "STACK_", "SEED_")


@dataclass(frozen=True)
class Person:
    """Somebody at a terminal with a stack of their own."""

    stack: Stack
    settings: dict[str, str]

    def types(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        outside = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        return subprocess.run(
            [sys.executable, "-m", "deploy.embedded", *arguments],
            cwd=ROOT,
            env={**outside, **self.settings, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    folder = tmp_path_factory.mktemp("whole")
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    settings = {
        **{name: str(port) for name, port in ports.items()},
        "STACK_VAR": str(folder / "var"),
        "TAXOPS_FAILPOINTS": f"@{folder}/failpoints",
        # Somebody's proxy, where nobody answers: the stack's own traffic must go past it.
        "http_proxy": "http://127.0.0.1:9",
        "SEED_VEHICLES": "200",
        "SEED_AGENTS": "6",
        "SEED_MONTHS": "2",
    }
    made = Person(Stack(folder / "var", ports, {}), settings)
    yield made
    made.types("down")


@pytest.fixture(scope="module")
def first_up(person: Person) -> str:
    run = person.types("up")
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def _rows(output: str) -> list[list[str]]:
    """The table's rows without its head: operation, run, state, seconds, figures."""
    table = output.partition("\noperation ")[2].split("\n\n")[0]
    return [line.split(maxsplit=4) for line in table.splitlines()[1:]]


def test_the_first_up_runs_each_operation_once_and_says_what_came_of_it(first_up: str) -> None:
    rows = _rows(first_up)

    assert first_up.splitlines()[-1] == "operations: 5 run, 5 succeeded"
    assert [row[0] for row in rows] == [
        "close_expired_sessions",
        "verify_audit_trail",
        "send_payment_reminders",
        "reconciliation_reminder",
        "generate_commission_report",
    ]
    assert {row[2] for row in rows} == {"success"}
    figures = {row[0]: row[4] for row in rows}
    assert "findings_total 0" in figures["verify_audit_trail"]
    # The sender that has a DAG of its own must not have taken the lock before the reminders could.
    assert figures["send_payment_reminders"].endswith("left 0")
    assert "accrued 0" not in figures["generate_commission_report"]


def test_a_second_up_is_quick_and_starts_nothing(person: Person, first_up: str) -> None:
    before = supervisor.state(person.stack) or {}
    started = time.monotonic()

    second = person.types("up")

    assert second.returncode == 0, second.stderr
    assert time.monotonic() - started < 30
    assert _rows(second.stdout) == _rows(first_up)
    assert {name: info["pid"] for name, info in (supervisor.state(person.stack) or {}).items()} == {
        name: info["pid"] for name, info in before.items()
    }


def test_nothing_of_all_this_listens_beyond_loopback(person: Person, first_up: str) -> None:
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for process in processes(person.stack)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }

    assert {address for address, _ in listening} == {"127.0.0.1"}
    assert set(person.stack.ports.values()) <= {port for _, port in listening}


def test_what_names_people_is_for_the_owner_alone(person: Person, first_up: str) -> None:
    folders = [person.stack.var / name for name in ("mail", "reports", "logs", "secrets", "airflow")]

    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    assert stat.S_IMODE((person.stack.var / "env").stat().st_mode) == 0o600


def test_status_says_that_all_is_well_and_what_it_takes(person: Person, first_up: str) -> None:
    run = person.types("status")

    assert run.returncode == 0, run.stdout
    *rows, total = (line.split() for line in run.stdout.splitlines()[1:])
    assert [row[0] for row in rows] == list(supervisor.PROGRAMS)
    assert {(row[1], row[2]) for row in rows} == {("RUNNING", "yes")}
    assert min(int(row[3]) for row in rows) > 0
    assert abs(int(total[1]) - sum(int(row[3]) for row in rows)) <= len(rows)


def test_status_fails_and_names_what_is_ill(person: Person, first_up: str) -> None:
    with supervisor.rpc(person.stack) as interface:
        interface.stopProcess("mail")
    try:
        run = person.types("status")
    finally:
        with supervisor.rpc(person.stack) as interface:
            interface.startProcess("mail")

    assert run.returncode == 1
    assert [line.split()[0] for line in run.stdout.splitlines() if " NO " in line] == ["mail"]


def test_other_settings_need_a_restart_and_up_says_which(person: Person, first_up: str) -> None:
    run = person.types("up", TAXOPS_MAIL_FROM="other@revenue.example")

    assert run.returncode == 1
    assert run.stderr.strip() == (
        "make up: The stack runs with other settings (TAXOPS_MAIL_FROM): `make down` first, then `make up`."
    )


def test_a_task_outlives_an_api_server_that_is_away(person: Person, first_up: str) -> None:
    api, dag = AirflowApi(person.stack), "verify_audit_trail"
    failpoints = person.stack.var.parent / "failpoints"
    failpoints.write_text("audit.verify.rows=sleep:6*1")
    api.trigger(dag, "outage")
    _until(lambda: (api.task(dag, "outage") or {})["state"] == "running")

    # Away when the task ends, and longer than Airflow's own patience.
    with supervisor.rpc(person.stack) as interface:
        interface.stopProcess("api-server")
        time.sleep(25)
        interface.startProcess("api-server")
    failpoints.unlink()
    supervisor.wait_until(lambda: _healthy(api), 60, "no api-server")

    _until(lambda: (api.last_run(dag) or {})["state"] == "success")
    assert api.task(dag, "outage")["try_number"] == 1


def test_a_failed_run_makes_up_fail_with_the_cause_and_the_log(person: Person, first_up: str) -> None:
    api = AirflowApi(person.stack)
    api.call(
        "POST",
        "/dags/verify_audit_trail/dagRuns",
        {"dag_run_id": "refused", "logical_date": None, "conf": {"nonsense": 1}},
    )
    _until(lambda: (api.last_run("verify_audit_trail") or {})["state"] == "failed")

    run = person.types("up")

    assert run.returncode == 1
    assert run.stdout.splitlines()[-1] == "operations: 5 run, 4 succeeded"
    (row,) = (row for row in _rows(run.stdout) if row[0] == "verify_audit_trail")
    assert row[1:3] == ["refused", "failed"]
    assert "nonsense" in row[4]
    assert Path(row[4].rpartition("(see ")[2].rstrip(")")).is_dir()


def test_up_recovers_what_a_killed_supervisor_left(person: Person, first_up: str) -> None:
    with supervisor.rpc(person.stack) as interface:
        os.kill(interface.getPID(), signal.SIGKILL)
    time.sleep(0.5)
    lost = person.types("status")

    again = person.types("up", "--no-first-run")

    assert lost.returncode == 1
    assert "have lost their supervisor" in lost.stdout
    assert again.returncode == 0, again.stderr
    assert person.types("status").returncode == 0


def test_down_leaves_no_process_and_no_port(person: Person, first_up: str) -> None:
    run = person.types("down")

    assert run.returncode == 0, run.stderr
    assert list(processes(person.stack)) == []
    for port in person.stack.ports.values():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, port
    assert person.types("status").returncode == 1


def _healthy(api: AirflowApi) -> bool:
    try:
        return set(api.health().values()) == {"healthy"}
    except StackError:
        return False


def _until(look: Callable[[], bool]) -> None:
    supervisor.wait_until(look, 90, "it did not come to that")
