"""The embedded stack's life, on servers alone (Airflow's components are in the end-to-end tests)."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from deploy.embedded import postgres, supervisor
from deploy.embedded.down import down, processes
from deploy.embedded.environment import database_url, environment, write_environment
from deploy.embedded.stack import Stack, StackError, read_env_file
from deploy.embedded.up import _alone, _refuse_taken_ports, _write_redis_configuration, up
from tests.e2e.stack import PORTS, free_ports

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """PostgreSQL, Redis and the mail sink under a supervisor, without Airflow and the site."""
    folder = tmp_path_factory.mktemp("servers")
    for each in (folder, folder.parent, folder.parent.parent):
        each.chmod(0o755)
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    made = Stack(folder / "var", ports, {})
    made.make_folders()
    write_environment(made)
    _write_redis_configuration(made)
    postgres.make_cluster(made)
    supervisor.start_supervisor(made)
    supervisor.wait_until(lambda: postgres.answers(made), 30, "no PostgreSQL")
    postgres.make_databases(made)
    yield made
    down(made)


def _running(stack: Stack) -> set[str]:
    known = supervisor.state(stack) or {}
    return {name for name, info in known.items() if info["statename"] == "RUNNING"}


def test_the_servers_run_under_the_supervisor(stack: Stack) -> None:
    supervisor.wait_until(
        lambda: _running(stack) == set(supervisor.SERVERS), 20, str(supervisor.state(stack))
    )


def test_every_secret_is_for_its_owner_alone(stack: Stack) -> None:
    secrets = [*(stack.var / "secrets").iterdir(), stack.var / "env", stack.var / "redis" / "redis.conf"]

    assert len(secrets) > 6
    for file in secrets:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE((stack.var / "secrets").stat().st_mode) == 0o700


def test_no_secret_is_in_a_command_line_or_configuration(stack: Stack) -> None:
    values = [file.read_text() for file in (stack.var / "secrets").iterdir()]
    shown = (stack.var / "supervisord.conf").read_text() + "".join(
        " ".join(each.cmdline()) for each in processes(stack)
    )

    assert not [value for value in values if value in shown]


def test_nothing_listens_beyond_loopback(stack: Stack) -> None:
    listening = {
        connection.laddr.ip
        for process in processes(stack)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening == {"127.0.0.1"}


def test_the_application_may_not_connect_to_airflows_database(stack: Stack) -> None:
    url = database_url(stack, "taxops", "airflow")

    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(url)


def test_a_server_that_is_killed_comes_back(stack: Stack) -> None:
    before = (supervisor.state(stack) or {})["redis"]["pid"]

    os.kill(before, signal.SIGKILL)

    def back() -> bool:
        info = (supervisor.state(stack) or {})["redis"]
        return info["statename"] == "RUNNING" and info["pid"] != before

    supervisor.wait_until(back, 15, "redis did not come back")


def test_a_taken_port_is_named_with_its_variable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(StackError, match=rf"port {port} is taken.*AIRFLOW_PORT"):
            _refuse_taken_ports(Stack(Path("/nowhere"), {"AIRFLOW_PORT": port}, {}))


def test_an_unusable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StackError, match=rf"{tmp_path}/file/var can't be used.*STACK_VAR"):
        Stack(tmp_path / "file" / "var", {}, {}).make_folders()


def test_a_folder_closed_to_others_is_no_obstacle_and_stays_closed(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    made = Stack(closed / "var", dict(zip(PORTS, free_ports(len(PORTS)), strict=True)), {})
    made.make_folders()

    postgres.make_cluster(made)

    assert (made.var / "postgres" / "PG_VERSION").exists()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@pytest.mark.parametrize("port", ["eighty", "0", "65536"])
def test_what_is_no_port_is_refused_in_one_line(port: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "deploy.embedded", "status"],
        cwd=ROOT,
        env={**os.environ, "REDIS_PORT": port},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 1
    assert run.stderr.strip() == f"make status: REDIS_PORT={port} is not a port."


def test_one_port_for_two_servers_is_refused_with_both_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_PORT", "7777")
    monkeypatch.setenv("DJANGO_PORT", "7777")

    with pytest.raises(StackError, match="AIRFLOW_PORT and DJANGO_PORT are both 7777"):
        Stack.from_environment()


def test_a_relative_folder_is_the_projects_from_wherever(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STACK_VAR", "elsewhere")

    assert Stack.from_environment().var == ROOT / "elsewhere"


def test_a_second_up_waits_for_nobody_and_says_so(tmp_path: Path) -> None:
    stack = Stack(tmp_path, {}, {})

    with _alone(stack), pytest.raises(StackError, match=f"Another `make up` is at work in {tmp_path}"):
        up(stack, first_run=False)


@pytest.mark.parametrize("name", ["airflow", "manage"])
@pytest.mark.parametrize(
    ("written", "asked", "looked_in"),
    [
        ("STACK_VAR='elsewhere'\n", None, "{root}/elsewhere"),
        ("export STACK_VAR=/nowhere\n", None, "/nowhere"),
        ("STACK_VAR=elsewhere\n", "/asked", "/asked"),
        ("", None, "{root}/var"),
    ],
)
def test_the_wrappers_find_the_folder_as_up_does(
    tmp_path: Path, name: str, written: str, asked: str | None, looked_in: str
) -> None:
    (tmp_path / "bin").mkdir()
    wrapper = shutil.copy(ROOT / "bin" / name, tmp_path / "bin")
    (tmp_path / ".env").write_text(written)
    outside = {key: value for key, value in os.environ.items() if key != "STACK_VAR"}

    run = subprocess.run(
        [wrapper],
        cwd="/",
        env={**outside, **({"STACK_VAR": asked} if asked else {})},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 1
    assert f" {looked_in.format(root=tmp_path)}/env is not there" in run.stderr


def test_an_env_file_is_read_and_what_a_person_sets_wins(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# a comment\n\nexport TAXOPS_MAIL_FROM='me@x.example'\nREDIS_PORT=7\n")

    assert read_env_file(file) == {"TAXOPS_MAIL_FROM": "me@x.example", "REDIS_PORT": "7"}
    ports = dict.fromkeys(PORTS, 1)
    made = Stack(tmp_path, ports, {"TAXOPS_MAIL_FROM": "me@x.example"})
    made.make_folders()
    assert environment(made)["TAXOPS_MAIL_FROM"] == "me@x.example"


def test_after_a_killed_supervisor_down_leaves_nothing(stack: Stack) -> None:
    assert len(list(processes(stack))) >= 4
    with supervisor.rpc(stack) as interface:
        os.kill(interface.getPID(), signal.SIGKILL)
    time.sleep(0.5)

    assert down(stack) >= 3

    assert list(processes(stack)) == []
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(database_url(stack, "postgres", "postgres"), connect_timeout=2)
    assert down(stack) == 0
