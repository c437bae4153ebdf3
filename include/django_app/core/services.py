"""Reminding owners of the tax (docs/domain.md §2), the operation send_payment_reminders."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.utils import timezone

from config.failpoints import failpoint
from core.calendar import local_day, next_stage_on
from core.models import Reminder
from core.planning import Plan, plan_reminders
from core.selectors import arrears_years, owners_without_address, reminders_waiting
from operations.outcomes import TryAgainLater
from outbox.reports import RelayUnavailable, SendReport, Unwritten
from outbox.selectors import others_per_hour
from outbox.sending import send_due

# `send_outbox` sends between these hours of the day.
SENDING_FROM, SENDING_UNTIL = 7, 20
LISTED = 100


@dataclass(frozen=True)
class ReminderReport:
    """
    What one run planned and sent.

    :ivar planned: new reminders; ``mails`` new mails for them, one per owner.
    :ivar sent: mails handed to the relay by this run, of any kind: what waited and is more urgent goes first.
    :ivar withdrawn: reminders without a reason any more (paid, exempted, deactivated, overtaken).
    :ivar refused: recipients that the relay will never take; ``deferred`` it may take later.
    :ivar left: mails that still have to go out; ``hours_needed`` at the relay's limit.
    :ivar arrears: older unpaid years of the vehicles planned now.
    :ivar without_address: owners who owe and have no address; the first hundred ids are listed.
    """

    planned: int
    mails: int
    sent: int
    withdrawn: int
    refused: int
    deferred: int
    left: int
    hours_needed: int
    arrears: int
    without_address: int
    owners_without_address: tuple[int, ...]
    considered: int
    bad_rows: tuple[Unwritten, ...] = ()
    warnings: tuple[str, ...] = ()


def reminders_send(*, as_of: datetime, dry_run: bool) -> ReminderReport:
    """
    Plan all reminders that are due, then send within the hour's budget; safe to repeat.

    :raises TryAgainLater: the relay is away; the plan stands, and the report says what was sent.
    """
    started = timezone.now()
    plan = plan_reminders(day=local_day(as_of), planned_at=started)
    failpoint("core.planned")
    try:
        sending = send_due(dry_run=dry_run)
    except RelayUnavailable as error:
        raise TryAgainLater(str(error), _report(as_of, started, plan, error.report)) from error
    return _report(as_of, started, plan, sending)


def _report(as_of: datetime, started: datetime, plan: Plan, sending: SendReport) -> ReminderReport:
    unreachable = list(owners_without_address(day=local_day(as_of)).values_list("pk", flat=True))
    withdrawn = Reminder.objects.filter(state=Reminder.State.WITHDRAWN, settled_at__gte=started)
    return ReminderReport(
        planned=plan.planned,
        mails=plan.mails,
        sent=sending.sent,
        withdrawn=withdrawn.count(),
        refused=sending.refused,
        deferred=sending.deferred,
        left=sending.left,
        hours_needed=sending.hours_needed,
        arrears=arrears_years(planned_at=started, fiscal_year=local_day(as_of).year),
        without_address=len(unreachable),
        owners_without_address=tuple(unreachable[:LISTED]),
        considered=max(sending.considered, plan.planned),
        bad_rows=sending.bad_rows,
        warnings=(*sending.warnings, *_too_slow(timezone.localtime(as_of))),
    )


def _too_slow(now: datetime) -> tuple[str, ...]:
    """Warn when mails can't go out before their next stage would overtake them."""
    if not settings.MAIL_BUDGET_PER_HOUR:
        return ()
    deadlines: dict[date, int] = {}
    for stage, due, mails in reminders_waiting():
        following = next_stage_on(stage=stage, due=due)
        if following:
            deadlines[following] = deadlines.get(following, 0) + mails
    waiting = 0
    for day in sorted(deadlines):
        waiting += deadlines[day]
        needed = -(-waiting // others_per_hour())
        available = _sending_hours(now, day)
        if needed > available:
            return (
                f"{waiting} mails planned need {needed} hours of sending at {others_per_hour()} an hour, "
                f"but only {available} are left before the next stage on {day.isoformat()}.",
            )
    return ()


def _sending_hours(now: datetime, day: date) -> int:
    """Hours in which mails go out, from now to the morning of a day."""
    today = max(SENDING_UNTIL - max(now.hour, SENDING_FROM), 0)
    days = (day - now.date()) // timedelta(days=1) - 1
    return today + max(days, 0) * (SENDING_UNTIL - SENDING_FROM) if days >= 0 else 0
