"""
What a command's exit code means to Airflow.

====== ============================== =========================
code   meaning (sysexits.h)           Airflow
====== ============================== =========================
0      done                           success
64     wrong usage                    failed, never retried
65     a finding: the data is wrong   failed, never retried
78     misconfigured                  failed, never retried
75     try again later                retried
other  crashed                        retried
====== ============================== =========================
"""

from functools import cache

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowException

DONE, USAGE, FINDING, TRY_AGAIN, MISCONFIGURED = 0, 64, 65, 75, 78


class CommandFailed(AirflowException):
    """
    The command ended with another code than 0.

    :ivar exit_code: that code.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class CommandForAPerson(CommandFailed):
    """Trying again can't help: wrong usage, a finding, a wrong configuration."""


class CommandForLater(CommandFailed):
    """Trying again may help: something was away, or the command crashed."""


def failure(message: str, exit_code: int) -> CommandFailed:
    """Make the exception for an exit code other than 0."""
    kind = CommandForAPerson if exit_code in {USAGE, FINDING, MISCONFIGURED} else CommandForLater
    return kind(message or f"The command left with {exit_code}.", exit_code)


@cache
def retry_policy() -> ExceptionRetryPolicy:
    """Fail at once what needs a person; the task's retries and back-off are for everything else."""
    rule = RetryRule(
        exception=f"{__name__}.{CommandForAPerson.__name__}",
        action=RetryAction.FAIL,
        reason="a person must look",
    )
    return ExceptionRetryPolicy(rules=[rule])
