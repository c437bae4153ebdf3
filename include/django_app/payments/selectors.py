"""Reads of sessions and transactions."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import F, Q, QuerySet, Sum

from payments.models import CashSession, CashTransaction
from payments.rules import LONGEST_SESSION

# The cash of these lies in the till; that of rejected and voided ones was handed back.
_CASH_TAKEN = Q(status__in=[CashTransaction.Status.POSTED, CashTransaction.Status.PENDING])


def expected_balances(sessions: Iterable[CashSession]) -> dict[int, int]:
    """Opening float + tendered - change of every transaction whose cash was taken, by session id (ariary)."""
    known = list(sessions)
    taken = dict(
        CashTransaction.objects.filter(_CASH_TAKEN, session__in=[session.pk for session in known])
        .values_list("session")
        .annotate(cash=Sum(F("tendered") - F("change")))
    )
    return {session.pk: session.opening_float + taken.get(session.pk, 0) for session in known}


def expected_balance(session: CashSession) -> int:
    """What must lie in one session's till (ariary)."""
    return expected_balances([session])[session.pk]


def sessions_expired(*, as_of: datetime) -> QuerySet[CashSession]:
    """Sessions open for more than 12 hours at this instant; exactly 12 is not more."""
    return CashSession.objects.filter(
        status=CashSession.Status.OPEN, opened_at__lt=as_of - LONGEST_SESSION
    ).order_by("id")
