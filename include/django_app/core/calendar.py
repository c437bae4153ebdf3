"""Due dates and the days on which reminders fall (docs/domain.md §1 and §2); all days are local."""

from datetime import date, datetime, timedelta

from django.utils import timezone

REMINDERS_BEFORE = (30, 7)
FIRST_AFTER = 7
EVERY_AFTER = 30
EXPIRING = "expiring"


def local_day(at: datetime) -> date:
    """The local day of an instant."""
    return timezone.localtime(at).date()


def due_on(*, first_circulation_on: date, fiscal_year: int) -> date:
    """31 January for a vehicle in service on 1 January, else the day of first circulation."""
    if first_circulation_on > date(fiscal_year, 1, 1):
        return first_circulation_on
    return date(fiscal_year, 1, 31)


def payable_from(fiscal_year: int) -> date:
    """Year Y can be paid from 1 December of the year before."""
    return date(fiscal_year - 1, 12, 1)


def stages(*, first_circulation_on: date, fiscal_year: int) -> list[tuple[str, date]]:
    """
    The reminder stages of an unpaid year and the days they fall on, in order.

    A due date on the day of first circulation has no stage before it; the last one lies in the fiscal year.
    """
    due = due_on(first_circulation_on=first_circulation_on, fiscal_year=fiscal_year)
    before = REMINDERS_BEFORE if due == date(fiscal_year, 1, 31) and due != first_circulation_on else ()
    days = [(f"due-{days}", due - timedelta(days=days)) for days in before]
    offsets = (0, FIRST_AFTER, *range(EVERY_AFTER, 366, EVERY_AFTER))
    days += [(f"due+{offset}", due + timedelta(days=offset)) for offset in offsets]
    return [(stage, day) for stage, day in days if day <= date(fiscal_year, 12, 31)]


def latest_stage(*, first_circulation_on: date, fiscal_year: int, day: date) -> tuple[str, date] | None:
    """The last stage of an unpaid year that has come by ``day``; the SQL of the planning says the same."""
    come = [
        each
        for each in stages(first_circulation_on=first_circulation_on, fiscal_year=fiscal_year)
        if each[1] <= day
    ]
    return come[-1] if come else None


def next_stage_on(*, stage: str, due: date) -> date | None:
    """The day of the stage that follows, if the fiscal year has one."""
    if stage == EXPIRING:
        return date(due.year, 1, 1)
    offset = int(stage.removeprefix("due"))
    days = (*(-days for days in REMINDERS_BEFORE), 0, FIRST_AFTER, EVERY_AFTER)
    following = next((each for each in days if each > offset), offset + EVERY_AFTER)
    day = due + timedelta(days=following)
    return day if day.year == due.year else None
