"""A stack of the tests' own: real servers, real Airflow, its own ports and folder."""

import email
import email.policy
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import EmailMessage
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg.rows import dict_row

ROOT = Path(__file__).resolve().parents[2]
PORTS = ("POSTGRES_PORT", "REDIS_PORT", "AIRFLOW_PORT", "DJANGO_PORT", "SMTP_PORT")
FINAL = {"success", "failed"}

T = TypeVar("T")


def free_ports(count: int) -> list[int]:
    """Ask the kernel for ports; all are held until the last is known, so that none comes twice."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_for(what: str, look: Callable[[], T | None], *, seconds: float, every: float = 0.5) -> T:
    """Look until there is something; fail with what was missing."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(every)
    raise AssertionError(f"after {seconds:.0f} s still no {what}")


class RunningStack:
    """The embedded stack in a folder of its own, with quick retries and failpoints that tests can set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.failpoint_file = folder / "failpoints"
        self.catalogue = folder / "operations.toml"
        self.settings = {
            **{name: str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)},
            "STACK_VAR": str(folder / "var"),
            "AIRFLOW_DJANGO_CATALOGUE": str(self.catalogue),
            "TAXOPS_CATALOGUE": str(self.catalogue),
            "TAXOPS_FAILPOINTS": f"@{self.failpoint_file}",
            "SEED_VEHICLES": "300",
            "SEED_AGENTS": "8",
            "SEED_MONTHS": "12",
            # The months that the tests backfill, whenever they run.
            "SEED_AS_OF": "2026-11-24",
        }

    # -- life ---------------------------------------------------------------------------------------

    def start(self, *, deadlines: dict[str, str]) -> None:
        """Start with the real catalogue but retries after a second, and the given ``finish_within``."""
        self.catalogue.write_text(quick_catalogue((ROOT / "include/operations.toml").read_text(), deadlines))
        self._stack("up", "--no-first-run")

    def stop(self) -> None:
        self._stack("down")

    def _stack(self, *arguments: str) -> None:
        # The unit tests' own settings must not leak into the stack.
        outside = {k: v for k, v in os.environ.items() if not k.startswith(("TAXOPS_", "DJANGO_", "AIRFLOW"))}
        run = subprocess.run(
            [sys.executable, "-m", "deploy.embedded", *arguments],
            cwd=ROOT,
            env={**outside, **self.settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=420,
        )
        assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"

    # -- the two command lines ----------------------------------------------------------------------

    def airflow(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self._wrapper("airflow", *arguments, check=check)

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self._wrapper("manage", *arguments, check=check)

    def _wrapper(self, name: str, *arguments: str, check: bool) -> subprocess.CompletedProcess[str]:
        run = subprocess.run(
            [ROOT / "bin" / name, *arguments],
            cwd=ROOT,
            env={**os.environ, **self.settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert run.returncode == 0 or not check, f"{name} {arguments}: {run.stdout}\n{run.stderr}"
        return run

    # -- looking ------------------------------------------------------------------------------------

    @cached_property
    def environment(self) -> dict[str, str]:
        """What `make up` wrote for the wrappers, read as the shell reads it."""
        found = {}
        for line in (self.folder / "var" / "env").read_text().splitlines():
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").partition("=")
                found[name] = "".join(shlex.split(value))
        return found

    def sql(self, query: str, *parameters: Any, owner: bool = False) -> list[dict[str, Any]]:
        """Ask the application's database, as the application or as the tables' owner."""
        url = self.environment["TAXOPS_OWNER_DATABASE_URL" if owner else "TAXOPS_DATABASE_URL"]
        with psycopg.connect(url, row_factory=dict_row) as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def superuser(self, statement: str) -> None:
        """Do to the server what only its administrator can."""
        password = (self.folder / "var" / "secrets" / "postgres-postgres").read_text()
        url = f"postgresql://postgres:{password}@127.0.0.1:{self.settings['POSTGRES_PORT']}/postgres"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def mails(self) -> list[EmailMessage]:
        """Every mail that arrived, oldest first."""
        return [
            email.message_from_bytes(file.read_bytes(), policy=email.policy.default)  # type: ignore[arg-type]
            for file in sorted((self.folder / "var" / "mail").glob("*.eml"))
        ]

    def mails_about(self, *words: str) -> list[EmailMessage]:
        """The mails whose subject has all these words."""
        return [mail for mail in self.mails() if all(word in str(mail["Subject"]) for word in words)]

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call Airflow's public REST API; an error answer is raised with its text."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.settings['AIRFLOW_PORT']}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from None

    @cached_property
    def _token(self) -> str:
        passwords = json.loads((self.folder / "var" / "secrets" / "airflow-passwords.json").read_text())
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.settings['AIRFLOW_PORT']}/auth/token",
            data=json.dumps({"username": "admin", "password": passwords["admin"]}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return str(json.loads(answer.read())["access_token"])

    # -- runs ---------------------------------------------------------------------------------------

    def failpoints(self, spec: str) -> None:
        self.failpoint_file.write_text(spec)

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any] | None = None) -> str:
        """Trigger from the command line, as an operator does."""
        more = ["--conf", json.dumps(conf)] if conf is not None else []
        self.airflow("dags", "trigger", dag_id, "--run-id", run_id, *more)
        return run_id

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")
        return found

    def task(self, dag_id: str, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api(
            "GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{dag_id}"
        )
        return found

    def finished(self, dag_id: str, run_id: str, *, seconds: float = 90) -> dict[str, Any]:
        """Wait until the run has ended, well or not."""
        return wait_for(
            f"end of {dag_id} {run_id}",
            lambda: run if (run := self.run(dag_id, run_id))["state"] in FINAL else None,
            seconds=seconds,
        )

    def result(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """The JSON line of the command, as Airflow keeps it."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{dag_id}/xcomEntries/return_value"
        value = self.api("GET", path)["value"]
        found: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
        return found


def quick_catalogue(text: str, deadlines: dict[str, str]) -> str:
    """The project's catalogue with retries after a second and some deadlines shortened."""
    text = re.sub(r"(?m)^retry_delay = .*$", 'retry_delay = "1s"', text)
    for operation, within in deadlines.items():
        table = re.compile(rf"(?ms)(^\[operations\.{operation}\]$.*?^finish_within = )\"[^\"]*\"")
        text, found = table.subn(rf'\g<1>"{within}"', text)
        assert found == 1, operation
    return text
