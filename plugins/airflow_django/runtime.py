"""
Running one management command, in this process or in a fresh one of another interpreter.

Django is imported inside functions only: parsing a DAG file must not load it.
"""

import importlib.util
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import TextIOBase
from pathlib import Path
from typing import IO, Any

from airflow_django.outcome import DONE, MISCONFIGURED, TRY_AGAIN, USAGE


@dataclass(frozen=True)
class Outcome:
    """
    How the command ended.

    :ivar error: one sentence when ``exit_code`` isn't 0.
    :ivar result: the JSON object on its last line of stdout, if there was one.
    """

    exit_code: int
    error: str = ""
    result: dict[str, Any] | None = None


class _Misconfigured(Exception):
    """The project can't be used as it is."""


class LineWriter(TextIOBase):
    """A text stream that hands on whole lines, and keeps the last one that isn't blank."""

    def __init__(self, write_line: Callable[[str], None]) -> None:
        super().__init__()
        self._write_line, self._rest, self.last = write_line, "", ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._hand_on(line)
        return len(text)

    def close(self) -> None:
        self._hand_on(self._rest)
        self._rest = ""
        super().close()

    def _hand_on(self, line: str) -> None:
        if line.strip():
            self.last = line
            self._write_line(line)

    def result(self) -> dict[str, Any] | None:
        """The last line as a JSON object, or ``None`` if it isn't one."""
        try:
            value = json.loads(self.last)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None


def run_in_process(
    *, project: Path, settings_module: str, command: str, arguments: Sequence[str], log: logging.Logger
) -> Outcome:
    """
    Initialise Django here, if it isn't yet, and call the command.

    :param project: the folder with ``manage.py``; it goes first on ``sys.path``.
    """
    try:
        _set_up(project, settings_module)
        instance = _loaded(command)
    except _Misconfigured as error:
        return Outcome(MISCONFIGURED, str(error))
    except Exception as error:  # noqa: BLE001  (settings may raise anything)
        return Outcome(MISCONFIGURED, f"{type(error).__name__}: {error}")
    out, err = LineWriter(log.info), LineWriter(log.info)
    code, message = _called(instance, command, arguments, out, err, log)
    out.close()
    err.close()
    return Outcome(code, message, out.result())


def _set_up(project: Path, settings_module: str) -> None:
    if not (project / "manage.py").is_file():
        raise _Misconfigured(
            f"{project} has no manage.py: set AIRFLOW_DJANGO_PROJECT to the project's folder."
        )
    if str(project) not in sys.path[:1]:
        sys.path.insert(0, str(project))
    os.environ["DJANGO_SETTINGS_MODULE"] = settings_module
    _not_another_project(project, settings_module.partition(".")[0])
    import django
    from django.conf import settings

    # A project's LOGGING may disable the loggers that write this task's log.
    settings.LOGGING_CONFIG = None
    django.setup()


def _not_another_project(project: Path, package: str) -> None:
    """Airflow's folders are on ``sys.path`` too: a module of that name there must not be taken for ours."""
    spec = importlib.util.find_spec(package)
    places = [*(spec.submodule_search_locations or []), spec.origin or ""] if spec else []
    if not any(Path(place).resolve().is_relative_to(project.resolve()) for place in places if place):
        raise _Misconfigured(
            f"The package {package!r} is not the one in {project}, but {places or 'missing'}."
        )


def _loaded(command: str) -> Any:
    from django.core.management import get_commands, load_command_class

    app = get_commands().get(command)
    if app is None:
        raise _Misconfigured(f"The project has no command {command!r}.")
    return load_command_class(app, command) if isinstance(app, str) else app


def _called(
    instance: Any,
    command: str,
    arguments: Sequence[str],
    out: LineWriter,
    err: LineWriter,
    log: logging.Logger,
) -> tuple[int, str]:
    from django.core.management import CommandError, call_command
    from django.db import InterfaceError, OperationalError, connections

    try:
        # Parsed once to tell wrong usage from a failure of the work: Django raises CommandError for both.
        instance.create_parser("manage.py", command).parse_args(list(arguments))
    except (CommandError, SystemExit) as error:
        return USAGE, str(error)
    try:
        call_command(instance, *arguments, stdout=out, stderr=err)
    except CommandError as error:
        return error.returncode, str(error)
    except SystemExit as error:
        return (
            (error.code, "")
            if isinstance(error.code, int)
            else (1 if error.code else DONE, str(error.code or ""))
        )
    except (OperationalError, InterfaceError) as error:
        return TRY_AGAIN, f"The database is not available: {error}"
    except Exception as error:
        log.exception("The command raised an exception.")
        return 1, f"{type(error).__name__}: {error}"
    finally:
        connections.close_all()
    return DONE, ""


def run_in_interpreter(
    *,
    interpreter: str,
    project: Path,
    settings_module: str,
    command: str,
    arguments: Sequence[str],
    log: logging.Logger,
) -> Outcome:
    """Run ``manage.py`` in a fresh process of another Python, with packages of its own."""
    if not (project / "manage.py").is_file():
        return Outcome(MISCONFIGURED, f"{project} has no manage.py: set AIRFLOW_DJANGO_PROJECT.")
    # The packages of Airflow's own environment must not leak into the other one.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    out, err = LineWriter(log.info), LineWriter(log.info)
    with subprocess.Popen(
        [interpreter, "manage.py", command, *arguments],
        cwd=project,
        env={**environment, "DJANGO_SETTINGS_MODULE": settings_module, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            _stream(process, out, err)
        except BaseException:
            # Airflow's SIGTERM or time-out: the command must not outlive its task.
            process.terminate()
            raise
    code = process.returncode
    # argparse leaves with 2.
    return Outcome(USAGE if code == 2 else code, err.last if code else "", out.result())


def _stream(process: subprocess.Popen[str], out: LineWriter, err: LineWriter) -> None:
    def pump(source: IO[str] | None, target: LineWriter) -> None:
        for line in source or ():
            target.write(line)
        target.close()

    reader = threading.Thread(target=pump, args=(process.stderr, err), daemon=True)
    reader.start()
    pump(process.stdout, out)
    reader.join()
    process.wait()
