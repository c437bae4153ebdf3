"""
How an operation can end other than well; the codes are those of sysexits.h.

The command contract is exit code and one JSON line, so that whoever runs the command (Airflow, cron, a
person) decides by the code alone: 65 and 64 need a person, 75 is worth another try.
"""

from dataclasses import dataclass
from typing import Any

DONE = 0
UNEXPECTED = 1
USAGE = 64
FINDING = 65
TRY_AGAIN = 75
MISCONFIGURED = 78


class OutcomeError(Exception):
    """
    Base of the outcomes that a service raises.

    :ivar report: what had been found until then, shown and stored like any report.
    """

    exit_code = UNEXPECTED

    def __init__(self, message: str, report: Any = None) -> None:
        super().__init__(message)
        self.report = report


class UsageRefused(OutcomeError):
    """An option has a value that makes no sense; nothing was read or written."""

    exit_code = USAGE

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class Finding(OutcomeError):
    """The data is wrong: a person must look, and trying again can't help."""

    exit_code = FINDING


class TryAgainLater(OutcomeError):
    """Something that the operation needs is away or taken just now."""

    exit_code = TRY_AGAIN


class Misconfigured(OutcomeError):
    """A setting is missing or wrong."""

    exit_code = MISCONFIGURED


@dataclass(frozen=True)
class BadRow:
    """
    One row that an operation had to leave out.

    :ivar subject: what a person finds it by, for instance ``payments.session:SESS-20260101-000001``.
    :ivar reason: one sentence, without personal data.
    """

    subject: str
    reason: str


# Up to 1 % of the rows and 100 of them are warnings; more than that is a finding.
BAD_ROWS_SHARE = 0.01
BAD_ROWS_LIMIT = 100


def too_many_bad_rows(*, bad: int, considered: int) -> bool:
    """Say whether the rows left out are so many that the run counts as a finding."""
    return bad > BAD_ROWS_LIMIT or bad > considered * BAD_ROWS_SHARE
