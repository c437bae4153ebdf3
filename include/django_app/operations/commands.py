"""
The contract of every operation's command.

``manage.py OPERATION [--as-of INSTANT] [--dry-run] [options]`` does its work, keeps the ledger, prints
people's lines on stderr and **one JSON object as the last line of stdout**, and leaves with one of the
codes of :mod:`operations.outcomes`.
"""

import dataclasses
import json
import signal
import sys
import threading
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar, NoReturn, cast

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from operations import services
from operations.outcomes import (
    DONE,
    FINDING,
    MISCONFIGURED,
    TRY_AGAIN,
    UNEXPECTED,
    USAGE,
    OutcomeError,
    too_many_bad_rows,
)


def instant(text: str) -> datetime:
    """Parse ISO 8601 with an offset; an instant without one could mean two different days."""
    try:
        value = parse_datetime(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a valid instant: {error}") from None
    if value is None or timezone.is_naive(value):
        raise ArgumentTypeError(
            f"{text!r} is not an ISO 8601 instant with an offset, such as 2026-03-01T08:00+03:00"
        )
    return value


class _ContractParser(CommandParser):
    """Django leaves with 2 (or 1) on a wrong option; the contract says 64."""

    def error(self, message: str) -> NoReturn:
        if self.called_from_command_line:
            self.print_usage(sys.stderr)
            self.exit(USAGE, f"{self.prog}: error: {message}\n")
        raise CommandError(f"Error: {message}", returncode=USAGE)


class _RollBack(Exception):
    """Ends the transaction of a dry run."""


class Terminated(SystemExit):
    """SIGTERM: the work is rolled back, the ledger says so, and another try may do it."""

    def __init__(self) -> None:
        super().__init__(TRY_AGAIN)


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the work like Ctrl-C does; by default the process dies without a word."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    # Airflow has a handler of its own, which raises too.
    if not in_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def terminate(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class OperationCommand(BaseCommand):
    """
    Base of the operations' commands.

    A subclass says in :meth:`add_options` what it takes and in :meth:`operate` which service does the work.
    ``period_format`` cuts the period, in local time, within which only one run may be at work.
    """

    period_format: ClassVar[str] = "%Y-%m-%d"
    requires_migrations_checks = False

    @property
    def operation(self) -> str:
        """The operation's name: that of the command's module."""
        return type(self).__module__.rpartition(".")[2]

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.__class__ = _ContractParser
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--as-of",
            type=instant,
            default=None,
            help="select what is due at this instant (ISO 8601 with offset; default: now)",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="do all of it, then roll it back; nothing is sent"
        )
        self.add_options(parser)

    def add_options(self, parser: CommandParser) -> None:
        """Add the operation's own options."""

    def operate(self, *, as_of: datetime, dry_run: bool, **options: Any) -> Any:
        """Do the work and return a frozen dataclass, the report."""
        raise NotImplementedError

    def period(self, *, as_of: datetime, **options: Any) -> str:
        """Name the period that one run at a time may work on."""
        return timezone.localtime(as_of).strftime(self.period_format)

    def handle(self, *args: Any, **options: Any) -> None:
        as_of = options.pop("as_of") or timezone.now()
        dry_run = bool(options.pop("dry_run"))
        own = {name: value for name, value in options.items() if name not in _DJANGO_OPTIONS}
        with _stopped_by_sigterm():
            code, error, line = self._contained(lambda: self._recorded(as_of=as_of, dry_run=dry_run, own=own))
        outcome = {"operation": self.operation, **line, "exit_code": code, "error": error}
        self.stdout.write(json.dumps(outcome, cls=DjangoJSONEncoder))
        if code != DONE:
            raise CommandError(error, returncode=code)

    def _recorded(
        self, *, as_of: datetime, dry_run: bool, own: dict[str, Any]
    ) -> tuple[int, str, dict[str, Any]]:
        """Run with the lock and the ledger around the work."""
        period = self.period(as_of=as_of, **own)
        with services.run_lock(operation=self.operation, period=period):
            run = services.run_start(
                operation=self.operation, period=period, as_of=as_of, dry_run=dry_run, options=_json_safe(own)
            )
            try:
                with services.heartbeat(run):
                    code, error, report = self._contained(
                        lambda: self._judged(self._worked(as_of=as_of, dry_run=dry_run, own=own))
                    )
            except BaseException as interruption:
                # SIGTERM, Ctrl-C or Airflow's time-out: say so in the ledger, and let it through.
                message = f"Interrupted: {type(interruption).__name__}"
                services.run_finish(run=run, exit_code=TRY_AGAIN, error=message, report={})
                raise
            services.run_finish(run=run, exit_code=code, error=error, report=report)
        line = {
            "operation": self.operation,
            "run": run.pk,
            "period": period,
            "as_of": as_of,
            "dry_run": dry_run,
        }
        return code, error, {**line, "report": report}

    def _worked(self, *, as_of: datetime, dry_run: bool, own: dict[str, Any]) -> Any:
        if not dry_run:
            return self.operate(as_of=as_of, dry_run=False, **own)
        # One code path: a dry run does everything, and the transaction takes it back.
        report = None
        try:
            with transaction.atomic():
                report = self.operate(as_of=as_of, dry_run=True, **own)
                raise _RollBack
        except _RollBack:
            return report

    def _judged(self, report: Any) -> tuple[int, str, dict[str, Any]]:
        """Apply the rule on rows left out: few are warnings, many are a finding."""
        bad = getattr(report, "bad_rows", ())
        safe = _json_safe(dataclasses.asdict(report))
        if not bad:
            return DONE, "", safe
        message = (
            f"{len(bad)} of {report.considered} rows were left out, first: {bad[0].subject}: {bad[0].reason}"
        )
        safe["warnings"] = [*safe.get("warnings", []), message]
        if too_many_bad_rows(bad=len(bad), considered=report.considered):
            return FINDING, message, safe
        return DONE, "", safe

    def _contained(
        self, work: Callable[[], tuple[int, str, dict[str, Any]]]
    ) -> tuple[int, str, dict[str, Any]]:
        """Turn what the work raises into exit code, message and report."""
        try:
            return work()
        except OutcomeError as outcome:
            report = outcome.report
            safe = _json_safe(dataclasses.asdict(report)) if report is not None else {}
            return outcome.exit_code, str(outcome), safe
        except ImproperlyConfigured as error:
            return MISCONFIGURED, str(error), {}
        except (OperationalError, InterfaceError) as error:
            return TRY_AGAIN, f"The database is not available: {error}".strip(), {}
        except OSError as error:
            return TRY_AGAIN, f"{type(error).__name__}: {error}", {}
        except Exception as error:  # noqa: BLE001  (the ledger must say how every run ended)
            self.stderr.write(_traceback_of(error))
            return UNEXPECTED, f"{type(error).__name__}: {error}", {}


# What BaseCommand and call_command put beside an operation's own options.
_OWN_OPTIONS_OF_DJANGO = "verbosity settings pythonpath traceback no_color force_color skip_checks"
_DJANGO_OPTIONS = frozenset([*_OWN_OPTIONS_OF_DJANGO.split(), "stdout", "stderr"])


def _json_safe(value: dict[str, Any]) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(json.dumps(value, cls=DjangoJSONEncoder)))


def _traceback_of(error: Exception) -> str:
    import traceback

    return "".join(traceback.format_exception(error))
