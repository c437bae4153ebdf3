"""Opening, closing, counting and reconciling cash sessions (docs/domain.md §3)."""

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from audit.services import append_entries
from core.calendar import local_day
from payments import entries
from payments.models import Agent, CashSession
from payments.numbering import next_number
from payments.rules import FREE_VARIANCE, Refused, reason_given, second_person
from payments.selectors import expected_balance

Status = CashSession.Status


@transaction.atomic
def session_open(*, agent: Agent, opening_float: int, by: str) -> CashSession:
    """
    Open the agent's session.

    :param opening_float: ariary.
    :param by: ``user:NAME``.
    :raises Refused: the agent is inactive or has an open session already, or the float is negative.
    """
    if not agent.active:
        raise Refused("agent", _("%(code)s is not active"), code=agent.code)
    if opening_float < 0:
        raise Refused("opening_float", _("can't be negative"))
    now = timezone.now()
    session = CashSession(
        agent=agent,
        opening_float=opening_float,
        opened_at=now,
        number=next_number(prefix="SESS", day=local_day(now), model=CashSession),
    )
    try:
        with transaction.atomic():
            session.save(force_insert=True)
    except IntegrityError:
        raise Refused("agent", _("%(code)s has an open session already"), code=agent.code) from None
    append_entries([entries.session_opened(session, actor=by)])
    return session


@transaction.atomic
def session_close(*, session: CashSession, by: str) -> CashSession:
    """
    Close an open session; a payment arriving now waits for the row's lock, and is then refused.

    :raises Refused: it isn't open.
    """
    locked = _locked(session, Status.OPEN)
    mark_closed(locked, closed_by=by)
    locked.save(update_fields=["status", "closed_at", "closed_by", "expected_balance"])
    append_entries([entries.session_closed(locked, actor=by)])
    return locked


def mark_closed(session: CashSession, *, closed_by: str) -> None:
    """Set what closing sets, on a locked session. The count stays unknown: nobody has counted."""
    session.status = Status.CLOSED
    session.closed_at = timezone.now()
    session.closed_by = closed_by
    session.expected_balance = expected_balance(session)


@transaction.atomic
def session_count(*, session: CashSession, counted_balance: int, by: str) -> CashSession:
    """
    Record what a person counted in a closed session.

    :param counted_balance: ariary.
    :raises Refused: it isn't closed, was counted already, or the amount is negative.
    """
    if counted_balance < 0:
        raise Refused("counted_balance", _("can't be negative"))
    locked = _locked(session, Status.CLOSED)
    if locked.counted_balance is not None:
        raise Refused("session", _("%(number)s was counted already"), number=locked.number)
    assert locked.expected_balance is not None  # noqa: S101  (a constraint: closed sessions have it)
    locked.counted_balance = counted_balance
    locked.variance = counted_balance - locked.expected_balance
    locked.counted_at, locked.counted_by = timezone.now(), by
    locked.save(update_fields=["counted_balance", "variance", "counted_at", "counted_by"])
    append_entries([entries.session_counted(locked, actor=by)])
    return locked


@transaction.atomic
def session_reconcile(*, session: CashSession, by: str, reason: str, supervisor: bool) -> CashSession:
    """
    Reconcile a counted session.

    :param supervisor: whether ``by`` is one; needed, and another person than the counter, from a variance
        of more than 1 000 Ar on.
    :raises Refused: it isn't closed or counted, or the wrong person asks.
    """
    why = reason_given(reason)
    locked = _locked(session, Status.CLOSED)
    if locked.variance is None:
        raise Refused("session", _("%(number)s was not counted yet"), number=locked.number)
    if abs(locked.variance) > FREE_VARIANCE:
        if not supervisor:
            raise Refused(
                "by", _("a variance of %(variance)d Ar needs a supervisor"), variance=locked.variance
            )
        second_person(first=locked.counted_by, second=by)
    locked.status = Status.RECONCILED
    locked.reconciled_at, locked.reconciled_by = timezone.now(), by
    locked.save(update_fields=["status", "reconciled_at", "reconciled_by"])
    append_entries([entries.session_reconciled(locked, actor=by, reason=why)])
    return locked


def _locked(session: CashSession, status: CashSession.Status) -> CashSession:
    locked = CashSession.objects.select_for_update(of=("self",)).select_related("agent").get(pk=session.pk)
    if locked.status != status:
        raise Refused(
            "session", _("%(number)s is %(status)s"), number=locked.number, status=locked.get_status_display()
        )
    return locked
