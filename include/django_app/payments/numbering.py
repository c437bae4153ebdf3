"""Numbers by local day, ``SESS-YYYYMMDD-NNNNNN`` and ``CASH-YYYYMMDD-NNNNNN``."""

from datetime import date

from django.db import connection, models

LARGEST = 999_999


class NumbersUsedUp(RuntimeError):
    """A day has more than 999 999 of a kind."""


def next_number(*, prefix: str, day: date, model: type[models.Model]) -> str:
    """
    Take the next number of the day, in the caller's transaction.

    An advisory lock that ends with the transaction makes callers take turns, so that no number is given
    twice and none is skipped by a roll-back.

    :raises NumbersUsedUp: the day is full.
    """
    start = f"{prefix}-{day:%Y%m%d}-"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"number:{start}"])
    # A range, read backwards from its end: one step in the unique index, however full the day is.
    of_the_day = model._default_manager.filter(number__range=(f"{start}000000", f"{start}{LARGEST}"))
    last = of_the_day.order_by("-number").values_list("number", flat=True).first()
    following = int(last.rpartition("-")[2]) + 1 if last else 1
    if following > LARGEST:
        raise NumbersUsedUp(f"{start}: {LARGEST} numbers are used up")
    return f"{start}{following:06d}"
