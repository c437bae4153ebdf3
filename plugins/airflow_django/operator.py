"""The operator that runs a Django management command."""

import os
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import BaseOperator

from airflow_django.outcome import DONE, MISCONFIGURED, USAGE, failure
from airflow_django.runtime import Outcome, run_in_interpreter, run_in_process


class DjangoCommandOperator(BaseOperator):
    """
    Initialise Django and run ``manage.py COMMAND`` with options; exit codes: :mod:`airflow_django.outcome`.

    The DAG's params become options of the same names (``dry_run`` is ``--dry-run``): ``None`` and ``False``
    leave an option out, ``True`` is a flag. Conf keys that the DAG doesn't declare are refused before Django
    starts. The JSON object on the command's last line of stdout is the task's XCom.

    :param command: the management command; by default the task's name.
    :param options: further options, by name; values may be templates.
    :param scheduled_option: the option that gets the run's scheduled instant, unless conf has it.
    :param interval_option: the option that names the run's data interval, unless conf has it; a backfill
        run must not have it in its conf.
    :param interval_format: ``strftime`` format of that name, in ``interval_timezone``.
    :param project: folder with ``manage.py`` (default: environment ``AIRFLOW_DJANGO_PROJECT``).
    :param settings_module: (default: environment ``DJANGO_SETTINGS_MODULE``).
    :param interpreter: another Python for a project whose packages can't live beside Airflow's.
    """

    template_fields: Sequence[str] = ("options",)

    def __init__(
        self,
        *,
        command: str | None = None,
        options: Mapping[str, Any] | None = None,
        scheduled_option: str | None = None,
        interval_option: str | None = None,
        interval_format: str = "%Y-%m",
        interval_timezone: str = "UTC",
        project: str | None = None,
        settings_module: str | None = None,
        interpreter: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.command = command or self.task_id
        self.options = dict(options or {})
        self.scheduled_option = scheduled_option
        self.interval_option = interval_option
        self.interval_format = interval_format
        self.interval_timezone = interval_timezone
        self.project = project
        self.settings_module = settings_module
        self.interpreter = interpreter

    def execute(self, context: Any) -> dict[str, Any] | None:
        """
        Run the command.

        :raises airflow_django.outcome.CommandFailed: it left with another code than 0.
        """
        self._refuse_unknown_conf(context)
        arguments = arguments_of({**self.options, **self._from_run(context), **self._from_params(context)})
        self.log.info("manage.py %s", shlex.join([self.command, *arguments]))
        outcome = self._run(arguments)
        if outcome.exit_code != DONE:
            if outcome.result:
                context["ti"].xcom_push(key="report", value=outcome.result)
            raise failure(outcome.error, outcome.exit_code)
        return outcome.result

    def _run(self, arguments: list[str]) -> Outcome:
        project = self.project or os.environ.get("AIRFLOW_DJANGO_PROJECT", "")
        settings_module = self.settings_module or os.environ.get("DJANGO_SETTINGS_MODULE", "")
        if not project or not settings_module:
            return Outcome(MISCONFIGURED, "Set AIRFLOW_DJANGO_PROJECT and DJANGO_SETTINGS_MODULE.")
        where: dict[str, Any] = {
            "project": Path(project),
            "settings_module": settings_module,
            "command": self.command,
            "arguments": arguments,
            "log": self.log,
        }
        if self.interpreter:
            return run_in_interpreter(interpreter=self.interpreter, **where)
        return run_in_process(**where)

    def _refuse_unknown_conf(self, context: Any) -> None:
        # Airflow takes any key; a misspelt one would silently do the default thing.
        declared = set(context["dag"].params)
        conf = context["dag_run"].conf or {}
        if unknown := sorted(set(conf) - declared):
            raise failure(f"{unknown[0]}: unknown conf key; known are {', '.join(sorted(declared))}", USAGE)
        if context["dag_run"].run_type == "backfill" and conf.get(self.interval_option or ""):
            raise failure(f"{self.interval_option}: a backfill run takes it from its data interval", USAGE)

    def _from_params(self, context: Any) -> dict[str, Any]:
        return {name: value for name, value in context["params"].items() if value is not None}

    def _from_run(self, context: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        run = context["dag_run"]
        if self.scheduled_option:
            found[self.scheduled_option] = run.run_after.astimezone(UTC).isoformat()
        if self.interval_option and run.data_interval_start is not None:
            start = run.data_interval_start.astimezone(ZoneInfo(self.interval_timezone))
            found[self.interval_option] = start.strftime(self.interval_format)
        return found


def arguments_of(options: Mapping[str, Any]) -> list[str]:
    """Write options as ``--name=value`` strings, so that the command's own parser checks them."""
    arguments = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            arguments.append(flag)
        elif value is not False and value is not None:
            arguments.append(f"{flag}={value}")
    return arguments
