"""Reminding of sessions that nobody has reconciled (docs/domain.md §5)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.conf import settings
from django.db import transaction

from config.failpoints import failpoint
from core.calendar import local_day
from operations.outcomes import Misconfigured
from outbox.models import Mail
from outbox.reports import RelayUnavailable
from outbox.sending import send_due
from outbox.services import queue_mails
from payments.models import Agent, CashSession
from payments.notices import notice

# Older than this, in local days, is the supervisors' business too.
SUPERVISED_AFTER_DAYS = 3
LISTED = 100


@dataclass(frozen=True)
class OpenReconciliation:
    """
    A closed session that waits.

    :ivar age_days: local days since it was closed.
    """

    session: CashSession
    age_days: int


@dataclass(frozen=True)
class ReconciliationReport:
    """
    What one run reminded of.

    :ivar variance_total: sum of the absolute variances of the counted ones (ariary); never netted.
    :ivar supervised: sessions older than 3 days, listed to the supervisors.
    :ivar mails: newly queued; a second run on the same day queues none.
    """

    day: str
    sessions: int
    not_counted: int
    agents: int
    variance_total: int
    oldest_days: int
    supervised: int
    mails: int
    without_address: int
    agents_without_address: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def reconciliation_remind(*, as_of: datetime, dry_run: bool) -> ReconciliationReport:
    """Remind agents and supervisors of every session closed and not reconciled; safe to repeat."""
    if not settings.SUPERVISOR_RECIPIENTS:
        raise Misconfigured("TAXOPS_SUPERVISOR_RECIPIENTS is empty: nobody would get the old sessions.")
    day = local_day(as_of)
    waiting = _waiting(as_of, day)
    failpoint("payments.reconciliation.selected")
    by_agent: dict[Agent, list[OpenReconciliation]] = defaultdict(list)
    for each in waiting:
        by_agent[each.session.agent].append(each)
    old = [each for each in waiting if each.age_days > SUPERVISED_AFTER_DAYS]
    silent = sorted(agent.code for agent in by_agent if not agent.email)
    with transaction.atomic():
        mails = queue_mails(_mails(day, by_agent, old))
        failpoint("payments.reconciliation.before_commit")
    return ReconciliationReport(
        day=day.isoformat(),
        sessions=len(waiting),
        not_counted=sum(each.session.counted_balance is None for each in waiting),
        agents=len(by_agent),
        variance_total=_absolute_variance(waiting),
        oldest_days=max((each.age_days for each in waiting), default=0),
        supervised=len(old),
        mails=mails,
        without_address=len(silent),
        agents_without_address=tuple(silent[:LISTED]),
        warnings=() if dry_run else _send_mails(),
    )


def _waiting(as_of: datetime, day: date) -> list[OpenReconciliation]:
    sessions = (
        CashSession.objects.filter(status=CashSession.Status.CLOSED, closed_at__lte=as_of)
        .select_related("agent")
        .order_by("closed_at", "id")
    )
    return [
        OpenReconciliation(each, (day - local_day(each.closed_at)).days)
        for each in sessions
        if each.closed_at
    ]


def _absolute_variance(waiting: Sequence[OpenReconciliation]) -> int:
    # +5 000 and -5 000 are two mistakes, not none.
    return sum(abs(each.session.variance or 0) for each in waiting)


def _mails(
    day: date, by_agent: dict[Agent, list[OpenReconciliation]], old: Sequence[OpenReconciliation]
) -> list[Mail]:
    found = [
        notice(
            key=f"reconciliation:{agent.code}:{day.isoformat()}",
            recipient=agent.email,
            subject=f"Caisses à rapprocher : {len(waiting)}",
            template="reconciliation",
            context={"agent": agent, "waiting": waiting, "variance_total": _absolute_variance(waiting)},
        )
        for agent, waiting in by_agent.items()
        if agent.email
    ]
    if old:
        found += [
            notice(
                key=f"reconciliation:supervisors:{day.isoformat()}:{recipient}",
                recipient=recipient,
                subject=f"Caisses fermées depuis plus de {SUPERVISED_AFTER_DAYS} jours : {len(old)}",
                template="reconciliation",
                context={"agent": None, "waiting": old, "variance_total": _absolute_variance(old)},
            )
            for recipient in settings.SUPERVISOR_RECIPIENTS
        ]
    return found


def _send_mails() -> tuple[str, ...]:
    try:
        send_due(categories=[Mail.Category.NOTICE])
    except RelayUnavailable as error:
        return (f"{error} The mails wait in the outbox.",)
    return ()
