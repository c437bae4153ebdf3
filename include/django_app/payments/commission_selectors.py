"""The figures of a month's commissions (docs/domain.md §4), each from one query."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from payments.models import CashTransaction

Status = CashTransaction.Status


@dataclass(frozen=True)
class AgentFigures:
    """
    One agent's month; amounts in ariary.

    :ivar rates: the recorded rates, as text such as ``0.0200``.
    :ivar paid: of ``accrued``, paid out by the report's instant; ``pending`` is the rest.
    :ivar cancelled: commission of what was voided; in no total.
    """

    agent: str
    name: str
    transactions: int
    tax: int
    accrued: int
    rates: tuple[str, ...]
    pending: int
    paid: int
    cancelled_transactions: int
    cancelled: int

    def accrual(self) -> dict[str, object]:
        """What the fingerprint is made of: payouts and names may change without a new revision."""
        whole = asdict(self)
        return {key: whole[key] for key in ("agent", "transactions", "tax", "accrued", "rates")}


@dataclass(frozen=True)
class MonthFigures:
    """A month's figures: those of each agent with any, ordered by code, and their sums."""

    month: str
    agents: tuple[AgentFigures, ...]

    def total(self, name: str) -> int:
        """The sum of one column over the agents."""
        return sum(getattr(agent, name) for agent in self.agents)


def month_bounds(month: str) -> tuple[datetime, datetime]:
    """
    The instants at which a local calendar month begins and ends.

    :param month: ``YYYY-MM``.
    """
    zone = ZoneInfo(settings.TIME_ZONE)
    year, number = int(month[:4]), int(month[5:])
    following = (year + 1, 1) if number == 12 else (year, number + 1)
    return datetime(year, number, 1, tzinfo=zone), datetime(*following, 1, tzinfo=zone)


def month_figures(*, month: str, as_of: datetime) -> MonthFigures:
    """
    Sum what was posted, or approved, in the local month; voided ones apart.

    :param as_of: pending and paid are those of this instant.
    """
    start, end = month_bounds(month)
    accrued = Q(status=Status.POSTED)
    paid = accrued & Q(commission_paid_at__lte=as_of)
    rows = (
        _of_month(start, end)
        .values(code=F("agent__code"), agent_name=F("agent__name"))
        .annotate(
            transactions=Count("id", filter=accrued),
            tax_sum=Coalesce(Sum("tax", filter=accrued), 0),
            accrued=Coalesce(Sum("commission", filter=accrued), 0),
            paid=Coalesce(Sum("commission", filter=paid), 0),
            rates=ArrayAgg("commission_rate", filter=accrued, distinct=True, default=[]),
            cancelled_transactions=Count("id", filter=Q(status=Status.VOIDED)),
            cancelled=Coalesce(Sum("commission", filter=Q(status=Status.VOIDED)), 0),
        )
        .order_by("code")
    )
    return MonthFigures(month, tuple(_agent(dict(row)) for row in rows))


def _of_month(start: datetime, end: datetime) -> QuerySet[CashTransaction]:
    return CashTransaction.objects.filter(
        status__in=[Status.POSTED, Status.VOIDED], accrued_at__gte=start, accrued_at__lt=end
    )


def _agent(row: dict[str, Any]) -> AgentFigures:
    return AgentFigures(
        agent=row["code"],
        name=row["agent_name"],
        transactions=row["transactions"],
        tax=int(row["tax_sum"]),
        accrued=int(row["accrued"]),
        rates=tuple(str(rate) for rate in row["rates"]),
        pending=int(row["accrued"] - row["paid"]),
        paid=int(row["paid"]),
        cancelled_transactions=row["cancelled_transactions"],
        cancelled=int(row["cancelled"]),
    )
