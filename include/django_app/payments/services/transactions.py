"""Taking cash, approving, rejecting and voiding it, paying commissions (docs/domain.md §3 and §4)."""

from collections.abc import Sequence

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from audit.services import append_entries
from core.calendar import local_day, payable_from
from core.models import TaxPayment, Vehicle
from core.tariff import is_exempt, tax_due
from payments import entries
from payments.models import Agent, CashSession, CashTransaction, TransactionDecision
from payments.numbering import next_number
from payments.rules import (
    APPROVAL_FROM,
    LONGEST_VOID,
    Refused,
    commission_of,
    rate_of,
    reason_given,
    second_person,
)

Status = CashTransaction.Status
Kind = TransactionDecision.Kind


@transaction.atomic
def transaction_post(
    *, session: CashSession, vehicle: Vehicle, fiscal_year: int, tendered: int, by: str
) -> CashTransaction:
    """
    Take the tax of a vehicle for a fiscal year in cash.

    From 500 000 Ar on it waits for a second person. The session's row is locked first: a payment that
    arrives while it is closed is either in the balance or refused.

    :param tendered: ariary handed over; the change is what exceeds the tax.
    :raises Refused: the field that is wrong is named.
    """
    locked = CashSession.objects.select_for_update(of=("self",)).select_related("agent").get(pk=session.pk)
    if locked.status != CashSession.Status.OPEN:
        raise Refused(
            "session", _("%(number)s is %(status)s"), number=locked.number, status=locked.get_status_display()
        )
    now = timezone.now()
    tax = _tax(vehicle, fiscal_year, local_day(now).year, local_day(now) >= payable_from(fiscal_year))
    if tendered < tax:
        raise Refused(
            "tendered", _("%(tendered)d Ar is less than the tax of %(tax)d Ar"), tendered=tendered, tax=tax
        )
    waits = tax >= APPROVAL_FROM
    payment = _payment(vehicle, fiscal_year, tax, waits)
    rate = rate_of(locked.agent)
    posted = CashTransaction.objects.create(
        number=next_number(prefix="CASH", day=local_day(now), model=CashTransaction),
        session=locked,
        agent=locked.agent,
        payment=payment,
        plate=vehicle.plate,
        fiscal_year=fiscal_year,
        tax=tax,
        tendered=tendered,
        change=tendered - tax,
        status=Status.PENDING if waits else Status.POSTED,
        posted_at=now,
        posted_by=by,
        accrued_at=None if waits else now,
        commission_rate=rate,
        commission=commission_of(tax=tax, rate=rate),
    )
    append_entries([entries.transaction_posted(posted, actor=by)])
    return posted


def _tax(vehicle: Vehicle, fiscal_year: int, this_year: int, payable: bool) -> int:
    if not vehicle.active:
        raise Refused("vehicle", _("%(plate)s is not active"), plate=vehicle.plate)
    if is_exempt(vehicle):
        raise Refused("vehicle", _("%(plate)s is exempt"), plate=vehicle.plate)
    if fiscal_year > this_year and not payable:
        raise Refused(
            "fiscal_year",
            _("%(year)d can be paid from %(day)s on"),
            year=fiscal_year,
            day=payable_from(fiscal_year),
        )
    if fiscal_year < vehicle.first_circulation_on.year:
        raise Refused(
            "fiscal_year",
            _("%(plate)s was not in service in %(year)d"),
            plate=vehicle.plate,
            year=fiscal_year,
        )
    tax = tax_due(vehicle=vehicle, fiscal_year=fiscal_year)
    if tax == 0:
        raise Refused(
            "vehicle", _("%(plate)s owes nothing for %(year)d"), plate=vehicle.plate, year=fiscal_year
        )
    return tax


def _payment(vehicle: Vehicle, fiscal_year: int, tax: int, waits: bool) -> TaxPayment:
    try:
        with transaction.atomic():
            return TaxPayment.objects.create(
                vehicle=vehicle,
                plate=vehicle.plate,
                fiscal_year=fiscal_year,
                amount=tax,
                method=TaxPayment.Method.CASH,
                paid_at=timezone.now(),
                status=TaxPayment.Status.PENDING if waits else TaxPayment.Status.PAID,
            )
    except IntegrityError:
        raise Refused(
            "fiscal_year",
            _("%(plate)s has paid %(year)d already, or the payment awaits approval"),
            plate=vehicle.plate,
            year=fiscal_year,
        ) from None


@transaction.atomic
def transaction_approve(*, posted: CashTransaction, by: str, reason: str) -> CashTransaction:
    """
    Approve a transaction that waits; its commission belongs to the month of the approval.

    :raises Refused: it doesn't wait, or ``by`` is who posted it.
    """
    locked = _locked(posted, Status.PENDING)
    second_person(first=locked.posted_by, second=by)
    return _decide(locked, Kind.APPROVED, Status.POSTED, TaxPayment.Status.PAID, by, reason)


@transaction.atomic
def transaction_reject(*, posted: CashTransaction, by: str, reason: str) -> CashTransaction:
    """
    Reject a transaction that waits; its cash is handed back.

    :raises Refused: it doesn't wait, its session is no longer open, or ``by`` is who posted it.
    """
    locked = _locked(posted, Status.PENDING)
    second_person(first=locked.posted_by, second=by)
    _in_open_session(locked)
    return _decide(locked, Kind.REJECTED, Status.REJECTED, TaxPayment.Status.CANCELLED, by, reason)


@transaction.atomic
def transaction_void(*, posted: CashTransaction, by: str, reason: str) -> CashTransaction:
    """
    Void a posted transaction at most 30 minutes old; its cash is handed back and the vehicle can pay again.

    :raises Refused: it isn't posted, is too old, its session isn't open, its commission was paid, or
        ``by`` is who posted it.
    """
    locked = _locked(posted, Status.POSTED)
    second_person(first=locked.posted_by, second=by)
    if timezone.now() - locked.posted_at > LONGEST_VOID:
        raise Refused("transaction", _("%(number)s is more than 30 minutes old"), number=locked.number)
    if locked.commission_paid_at is not None:
        raise Refused("transaction", _("the commission of %(number)s was paid"), number=locked.number)
    _in_open_session(locked)
    return _decide(locked, Kind.VOIDED, Status.VOIDED, TaxPayment.Status.CANCELLED, by, reason)


def _locked(posted: CashTransaction, status: CashTransaction.Status) -> CashTransaction:
    # The session first, as in posting and closing: the same order everywhere, no deadlock.
    CashSession.objects.select_for_update().get(pk=posted.session_id)
    locked = (
        CashTransaction.objects.select_for_update(of=("self",))
        .select_related("session", "agent", "payment")
        .get(pk=posted.pk)
    )
    if locked.status != status:
        raise Refused(
            "transaction",
            _("%(number)s is %(status)s"),
            number=locked.number,
            status=locked.get_status_display(),
        )
    return locked


def _in_open_session(locked: CashTransaction) -> None:
    if locked.session.status != CashSession.Status.OPEN:
        raise Refused("session", _("%(number)s is no longer open"), number=locked.session.number)


def _decide(
    locked: CashTransaction,
    kind: TransactionDecision.Kind,
    status: CashTransaction.Status,
    payment_status: TaxPayment.Status,
    by: str,
    reason: str,
) -> CashTransaction:
    """Insert the record of the decision, move the two statuses, write the entry."""
    decision = TransactionDecision.objects.create(
        transaction=locked, kind=kind, decided_at=timezone.now(), decided_by=by, reason=reason_given(reason)
    )
    locked.status = status
    if kind == Kind.APPROVED:
        # The same instant in both: the comparison with the audit trail relies on it.
        locked.accrued_at = decision.decided_at
    locked.save(update_fields=["status", "accrued_at"])
    locked.payment.status = payment_status
    locked.payment.save(update_fields=["status"])
    append_entries([entries.transaction_decided(decision, actor=by)])
    return locked


@transaction.atomic
def commission_pay(*, agent: Agent, transactions: Sequence[CashTransaction], by: str) -> int:
    """
    Record that the agent was paid the commission of these transactions.

    :returns: the sum paid (ariary).
    :raises Refused: one isn't posted, isn't the agent's, or was paid already; or ``by`` is the agent.
    """
    if agent.user is not None:
        second_person(first=f"user:{agent.user.get_username()}", second=by)
    numbers = [each.pk for each in transactions]
    locked = list(
        CashTransaction.objects.select_for_update(of=("self",))
        .select_related("agent", "session")
        .filter(pk__in=numbers, agent=agent, status=Status.POSTED, commission_paid_at__isnull=True)
        .order_by("pk")
    )
    if len(locked) != len(set(numbers)) or not locked:
        raise Refused("transactions", _("only posted, unpaid transactions of this agent can be paid"))
    CashTransaction.objects.filter(pk__in=numbers).update(commission_paid_at=timezone.now())
    append_entries([entries.commission_paid(each, actor=by) for each in locked])
    return sum(each.commission for each in locked)
