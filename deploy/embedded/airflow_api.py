"""Airflow's public REST API, as the stack's ``admin``."""

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote

from deploy.embedded.secrets import airflow_password
from deploy.embedded.stack import Stack, StackError

FINAL = ("success", "failed")
# Past any proxy that the environment names: both servers are on this machine.
open_directly = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


class AirflowApi:
    """Calls to one api-server; the token is fetched at the first."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._token = stack, ""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """
        Call and return the decoded answer.

        :raises StackError: the api-server is away or says no.
        """
        if not self._token:
            login = {"username": "admin", "password": airflow_password(self._stack)}
            self._token = self._send("POST", "/auth/token", login)["access_token"]
        return self._send(method, f"/api/v2{path}", body)

    def _send(self, method: str, path: str, body: Any) -> Any:
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(  # noqa: S310  (our own http:// address)
            self._stack.airflow_url + path,
            method=method,
            headers=headers,
            data=None if body is None else json.dumps(body).encode(),
        )
        try:
            with open_directly(request, timeout=30) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise StackError(
                f"Airflow refused {method} {path}: {error.code} {error.read().decode()[:300]}"
            ) from None
        except OSError as error:
            raise StackError(f"Airflow's api-server doesn't answer: {error}") from None

    def health(self) -> dict[str, str]:
        """The state of each component that reports one, ``healthy`` or not."""
        found = self._send("GET", "/api/v2/monitor/health", None)
        names = {
            "metadatabase": "metadata",
            "scheduler": "scheduler",
            "triggerer": "triggerer",
            "dag_processor": "dag-processor",
        }
        return {name: str((found.get(key) or {}).get("status")) for key, name in names.items()}

    def dags(self) -> dict[str, dict[str, Any]]:
        """The parsed DAGs by id."""
        return {each["dag_id"]: each for each in self.call("GET", "/dags?limit=200")["dags"]}

    def import_errors(self) -> list[str]:
        """The DAG files that don't parse, with the last line of the reason."""
        errors = self.call("GET", "/importErrors")["import_errors"]
        return [f"{each['filename']}: {each['stack_trace'].strip().splitlines()[-1]}" for each in errors]

    def unpause(self, dag_id: str) -> None:
        self.call("PATCH", f"/dags/{dag_id}?update_mask=is_paused", {"is_paused": False})

    def set_pool(self, name: str, slots: int, description: str) -> None:
        """Make the pool, or give it these slots."""
        pool = {"name": name, "slots": slots, "description": description, "include_deferred": False}
        known = {each["name"]: each for each in self.call("GET", "/pools?limit=200")["pools"]}
        if name not in known:
            self.call("POST", "/pools", pool)
        elif (known[name]["slots"], known[name]["description"]) != (slots, description):
            self.call("PATCH", f"/pools/{quote(name)}", pool)

    def last_run(self, dag_id: str) -> dict[str, Any] | None:
        """The run that was made last, or ``None``."""
        runs = self.call("GET", f"/dags/{dag_id}/dagRuns?limit=1&order_by=-id")["dag_runs"]
        return runs[0] if runs else None

    def trigger(self, dag_id: str, run_id: str) -> dict[str, Any]:
        body = {"dag_run_id": run_id, "logical_date": None}
        run: dict[str, Any] = self.call("POST", f"/dags/{dag_id}/dagRuns", body)
        return run

    def task(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """The run's only task."""
        task: dict[str, Any] = self.call("GET", _task(dag_id, run_id))
        return task

    def cause(self, dag_id: str, run_id: str) -> str:
        """What the run's task last complained of, in one line; empty when it didn't."""
        tries = self.task(dag_id, run_id)["try_number"]
        log = self.call("GET", f"{_task(dag_id, run_id)}/logs/{tries}?full_content=true")["content"]
        complaints = [detail for event in log for detail in event.get("error_detail") or ()]
        if not complaints:
            return ""
        return " ".join(f"{complaints[-1]['exc_type']}: {complaints[-1]['exc_value']}".split())

    def result(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """The JSON line of the run's command."""
        value = self.call("GET", f"{_task(dag_id, run_id)}/xcomEntries/return_value")["value"]
        found: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
        return found


def _task(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{dag_id}"
