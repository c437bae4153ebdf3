"""What waits in the outbox, and how much of the hour's budget is left."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, F, Q, QuerySet

from outbox.models import Mail

HOUR = timedelta(hours=1)
UNLIMITED = 10**9


@dataclass(frozen=True)
class Budget:
    """How many mails may still be sent now: of any kind, and of kinds other than alerts."""

    alerts: int
    others: int


def budget_left(*, at: datetime) -> Budget:
    """Count every mail handed to the relay in the hour before ``at`` against the relay's limit."""
    limit = settings.MAIL_BUDGET_PER_HOUR
    if limit == 0:
        return Budget(alerts=UNLIMITED, others=UNLIMITED)
    used = Mail.objects.filter(claimed_at__gt=at - HOUR).aggregate(
        all=Count("id"), others=Count("id", filter=~Q(category=Mail.Category.ALERT))
    )
    free = max(limit - used["all"], 0)
    return Budget(alerts=free, others=min(free, max(others_per_hour() - used["others"], 0)))


def others_per_hour() -> int:
    """How many mails other than alerts may go out in an hour; at least one."""
    limit = settings.MAIL_BUDGET_PER_HOUR
    return max(limit - settings.MAIL_RESERVED_FOR_ALERTS, 1) if limit else UNLIMITED


def mails_waiting(*, at: datetime, categories: Collection[str] | None = None) -> QuerySet[Mail]:
    """
    Mails that may be sent at this instant, the most urgent first.

    A claimed mail is one whose sender died: only the holder of the sending lock asks.
    """
    waiting = Mail.objects.filter(state__in=[Mail.State.PLANNED, Mail.State.CLAIMED], not_before__lte=at)
    if categories is not None:
        waiting = waiting.filter(category__in=categories)
    # Alert, notice, reminder: the alphabet's order happens to be that of urgency, and an index has it.
    return waiting.order_by("category", F("due_on").asc(nulls_first=True), "id")


def next_batch(*, at: datetime, size: int, categories: Collection[str] | None) -> list[Mail]:
    """
    The next mails that the budget allows, locked: call it in the transaction that claims them.

    A batch always ends settled or deferred, so the next look finds none of it.
    """
    budget = budget_left(at=at)
    batch = list(mails_waiting(at=at, categories=categories).select_for_update()[:size])
    alerts = [mail for mail in batch if mail.category == Mail.Category.ALERT][: budget.alerts]
    others = [mail for mail in batch if mail.category != Mail.Category.ALERT]
    return alerts + others[: max(min(budget.others, budget.alerts - len(alerts)), 0)]


def mails_left(*, categories: Collection[str] | None = None) -> int:
    """How many mails still have to go out, now or later."""
    waiting = Mail.objects.filter(state__in=[Mail.State.PLANNED, Mail.State.CLAIMED])
    return (waiting if categories is None else waiting.filter(category__in=categories)).count()
