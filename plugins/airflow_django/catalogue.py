"""
The catalogue of operations: one TOML table each, read at every parse of a DAG file.

``AIRFLOW_DJANGO_CATALOGUE`` names the file.
"""

import os
import re
import tomllib
from dataclasses import dataclass, fields
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

_DURATION = re.compile(r"^([0-9]+)(s|m|h|d)$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATIONS = ("finish_within", "grace", "retry_delay", "max_retry_delay", "execution_timeout")


class CatalogueError(ValueError):
    """The catalogue is wrong; the message names file, operation and field."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """
    One table of the catalogue.

    :ivar name: of the table, the DAG file, the DAG, its task and the command.
    :ivar schedule: cron, in ``timezone``.
    :ivar interval: ``"month"`` where a run covers the month before, else empty: it stands for an instant.
    :ivar run_types: of ``scheduled``, ``manual``, ``backfill``.
    :ivar figures: the keys of its report that a person wants to see first.
    """

    name: str
    summary: str
    owner: str
    schedule: str
    timezone: str
    start_date: date
    finish_within: timedelta
    grace: timedelta
    retries: int
    retry_delay: timedelta
    max_retry_delay: timedelta
    execution_timeout: timedelta
    pool: str
    queue: str
    weight: int
    writes: str
    run_types: tuple[str, ...]
    interval: str = ""
    first_run: bool = False
    figures: tuple[str, ...] = ()


def load_operation(file: str) -> Operation:
    """
    Return the operation of a DAG file: the table with the file's name.

    :param file: ``__file__`` of the DAG file.
    :raises CatalogueError: the catalogue is missing or wrong.
    """
    path = Path(os.environ.get("AIRFLOW_DJANGO_CATALOGUE") or _missing())
    name = Path(file).stem
    operations = read_catalogue(path, path.stat().st_mtime_ns)
    if name not in operations:
        raise CatalogueError(f"{path}: there is no table [operations.{name}]")
    return operations[name]


def _missing() -> str:
    raise CatalogueError("The environment variable AIRFLOW_DJANGO_CATALOGUE is not set.")


@lru_cache(maxsize=4)
def read_catalogue(path: Path, version: int) -> dict[str, Operation]:
    """Read and check the whole catalogue; ``version`` makes an edited file be read again."""
    document = tomllib.loads(path.read_text())
    shared = {"timezone": document.get("timezone"), "start_date": document.get("start_date")}
    return {
        name: _operation(path, name, {**shared, **table})
        for name, table in document.get("operations", {}).items()
    }


def _operation(path: Path, name: str, table: dict[str, Any]) -> Operation:
    where = f"{path}: operations.{name}"
    known = {field.name for field in fields(Operation)} - {"name"}
    if unknown := set(table) - known:
        raise CatalogueError(f"{where}: unknown field {sorted(unknown)[0]}")
    values = dict(table)
    try:
        for field in _DURATIONS:
            values[field] = duration(values[field])
        values["start_date"] = date.fromisoformat(values["start_date"])
        values["run_types"] = tuple(values["run_types"])
        values["figures"] = tuple(values.get("figures", ()))
        return Operation(name=name, **values)
    except KeyError as error:
        raise CatalogueError(f"{where}: the field {error} is missing") from None
    except (TypeError, ValueError) as error:
        raise CatalogueError(f"{where}: {error}") from None


def duration(text: str) -> timedelta:
    """
    Parse ``"30s"``, ``"15m"``, ``"2h"`` or ``"1d"``.

    :raises ValueError: it is none of these.
    """
    found = _DURATION.match(text)
    if not found:
        raise ValueError(f"{text!r} is not a duration such as 15m")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
