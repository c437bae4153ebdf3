"""Taking cash, approving and voiding it (docs/domain.md §3)."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError
from django.utils import timezone as clock

from audit.models import AuditEntry, AuditHead
from audit.verification import verify_trail
from core.models import TaxPayment, Vehicle
from payments.models import CashSession, CashTransaction
from payments.rules import APPROVAL_FROM, Refused, commission_of
from payments.services import transactions
from payments.services.sessions import session_close
from payments.services.transactions import (
    commission_pay,
    transaction_approve,
    transaction_post,
    transaction_reject,
    transaction_void,
)
from tests import factories
from tests.database import contents

pytestmark = pytest.mark.django_db
YEAR = 2026


@pytest.fixture(autouse=True)
def _on_a_day_in_march(monkeypatch: pytest.MonkeyPatch) -> None:
    _set_clock(monkeypatch, datetime(2026, 3, 10, 9, 0, tzinfo=UTC))


def _set_clock(monkeypatch: pytest.MonkeyPatch, at: datetime) -> None:
    monkeypatch.setattr(clock, "now", lambda: at)


def _post(
    session: CashSession | None = None, vehicle: Vehicle | None = None, **changes: object
) -> CashTransaction:
    values: dict[str, object] = {"fiscal_year": YEAR, "tendered": 3_000_000, "by": "user:hery", **changes}
    return transaction_post(
        session=session or factories.open_session(), vehicle=vehicle or factories.vehicle(), **values
    )


def test_a_payment_is_posted_with_its_change_and_commission() -> None:
    posted = _post(tendered=50_000)

    assert (posted.tax, posted.change, posted.status) == (30_000, 20_000, "posted")
    assert (posted.commission_rate, posted.commission) == (Decimal("0.02"), 600)
    assert posted.payment.status == "paid"
    assert posted.number.startswith("CASH-20260310-")
    assert verify_trail().findings == ()


def test_a_rate_of_nought_is_a_rate() -> None:
    session = factories.open_session(of=factories.agent(commission_rate=Decimal("0")))

    assert _post(session).commission == 0


@pytest.mark.parametrize(
    ("tax", "rate", "commission"),
    [(25, "0.02", 0), (75, "0.02", 2), (125, "0.02", 2), (15_000, "0.0150", 225)],
)
def test_commissions_are_rounded_half_even(tax: int, rate: str, commission: int) -> None:
    assert commission_of(tax=tax, rate=Decimal(rate)) == commission


def test_less_than_the_tax_is_refused_naming_the_field() -> None:
    with pytest.raises(Refused, match=r"tendered: 29999 Ar is less than the tax of 30000 Ar"):
        _post(tendered=29_999)


def test_from_half_a_million_a_second_person_approves() -> None:
    posted = _post(vehicle=factories.aircraft())

    assert (posted.status, posted.accrued_at, posted.payment.status) == ("pending", None, "pending")
    with pytest.raises(Refused, match="second person"):
        transaction_approve(posted=posted, by="user:hery", reason="ok")
    approved = transaction_approve(posted=posted, by="user:vola", reason="papers seen")
    assert (approved.status, approved.payment.status) == ("posted", "paid")
    assert approved.accrued_at is not None


@pytest.mark.parametrize(("limit", "status"), [(30_000, "pending"), (30_001, "posted")])
def test_exactly_the_limit_waits_for_a_second_person(
    monkeypatch: pytest.MonkeyPatch, limit: int, status: str
) -> None:
    """No tax of the tariff is exactly 500 000 Ar, so the limit comes to a tax that exists."""
    assert APPROVAL_FROM == 500_000
    monkeypatch.setattr(transactions, "APPROVAL_FROM", limit)

    assert _post().status == status


def test_a_rejection_needs_a_second_person_and_an_open_session() -> None:
    session = factories.open_session()
    posted = _post(session, factories.aircraft())

    with pytest.raises(Refused, match="second person"):
        transaction_reject(posted=posted, by="user:hery", reason="no papers")
    session_close(session=session, by="user:hery")
    with pytest.raises(Refused, match="no longer open"):
        transaction_reject(posted=posted, by="user:vola", reason="no papers")
    assert transaction_approve(posted=posted, by="user:vola", reason="seen").status == "posted"
    assert verify_trail().findings == ()


@pytest.mark.parametrize("decide", [transaction_approve, transaction_reject, transaction_void])
def test_a_decision_says_why_and_is_taken_once(decide: Callable[..., CashTransaction]) -> None:
    posted = _post(vehicle=factories.vehicle() if decide is transaction_void else factories.aircraft())

    with pytest.raises(Refused, match="reason"):
        decide(posted=posted, by="user:vola", reason="  ")
    decide(posted=posted, by="user:vola", reason="seen")
    with pytest.raises(Refused, match="transaction"):
        decide(posted=posted, by="user:vola", reason="seen")

    assert AuditEntry.objects.filter(subject_id=posted.number).count() == 2


def test_a_refused_payment_leaves_nothing_behind() -> None:
    session, vehicle = factories.open_session(), factories.vehicle()
    before = contents()

    with pytest.raises(Refused):
        _post(session, vehicle, tendered=29_999)

    assert contents() == before


def test_without_its_audit_entry_no_money_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    session, vehicle = factories.open_session(), factories.vehicle()
    before = contents()
    monkeypatch.setattr(AuditHead.objects, "select_for_update", _unavailable)

    with pytest.raises(OperationalError):
        _post(session, vehicle)

    assert contents() == before


def _unavailable() -> None:
    raise OperationalError("the head of the trail is not available")


def test_a_rejected_payment_can_be_made_again() -> None:
    session, aircraft = factories.open_session(), factories.aircraft()
    posted = _post(session, aircraft)

    transaction_reject(posted=posted, by="user:vola", reason="no papers")

    assert _post(session, aircraft).status == "pending"
    assert verify_trail().findings == ()


def test_a_vehicle_pays_a_year_once() -> None:
    session, vehicle = factories.open_session(), factories.vehicle()
    _post(session, vehicle)

    with pytest.raises(Refused, match=r"fiscal_year: .* has paid 2026 already"):
        _post(session, vehicle)


def test_a_voided_year_can_be_paid_again() -> None:
    session, vehicle = factories.open_session(), factories.vehicle()
    transaction_void(posted=_post(session, vehicle), by="user:vola", reason="wrong plate")

    assert _post(session, vehicle).status == "posted"
    assert sorted(TaxPayment.objects.values_list("status", flat=True)) == ["cancelled", "paid"]
    assert verify_trail().findings == ()


def test_a_void_takes_at_most_thirty_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    session = factories.open_session()
    first, second = _post(session), _post(session)

    _set_clock(monkeypatch, first.posted_at + timedelta(minutes=30))
    transaction_void(posted=first, by="user:vola", reason="in time")
    _set_clock(monkeypatch, first.posted_at + timedelta(minutes=30, microseconds=1))
    with pytest.raises(Refused, match="30 minutes"):
        transaction_void(posted=second, by="user:vola", reason="too late")


def test_a_void_needs_an_open_session_and_a_second_person() -> None:
    session = factories.open_session()
    posted = _post(session)

    with pytest.raises(Refused, match="second person"):
        transaction_void(posted=posted, by="user:hery", reason="x")
    session_close(session=session, by="user:hery")
    with pytest.raises(Refused, match="no longer open"):
        transaction_void(posted=posted, by="user:vola", reason="x")


def test_next_year_is_paid_from_the_first_of_december(monkeypatch: pytest.MonkeyPatch) -> None:
    session = factories.open_session()

    # 23:59 on 30 November, and midnight, in Antananarivo.
    _set_clock(monkeypatch, datetime(2026, 11, 30, 20, 59, 59, tzinfo=UTC))
    with pytest.raises(Refused, match="fiscal_year: 2027 can be paid from 2026-12-01"):
        _post(session, fiscal_year=2027)
    _set_clock(monkeypatch, datetime(2026, 11, 30, 21, 0, tzinfo=UTC))
    assert _post(session, fiscal_year=2027).fiscal_year == 2027


def test_exempt_and_inactive_vehicles_pay_nothing() -> None:
    for vehicle in (factories.vehicle(category="ambulance"), factories.vehicle(active=False)):
        with pytest.raises(Refused, match="vehicle"):
            _post(vehicle=vehicle)


def test_a_vehicle_pays_no_year_before_its_first() -> None:
    with pytest.raises(Refused, match="not in service in 2025"):
        _post(vehicle=factories.vehicle(first_circulation_on=date(2026, 1, 2)), fiscal_year=2025)


def test_a_closed_session_takes_nothing() -> None:
    session = factories.open_session()
    session_close(session=session, by="user:hery")

    with pytest.raises(Refused, match="session"):
        _post(session)


def test_commissions_are_paid_once_and_not_by_the_agent() -> None:
    agent = factories.agent(user=factories.user("hery"))
    posted = _post(factories.open_session(of=agent))

    with pytest.raises(Refused, match="second person"):
        commission_pay(agent=agent, transactions=[posted], by="user:hery")
    assert commission_pay(agent=agent, transactions=[posted], by="user:finance") == 600
    with pytest.raises(Refused, match="unpaid"):
        commission_pay(agent=agent, transactions=[posted], by="user:finance")
    assert verify_trail().findings == ()


def test_deleting_vehicle_owner_and_user_keeps_payments_and_the_trail() -> None:
    agent = factories.agent(user=factories.user("hery"))
    vehicle = factories.vehicle()
    _post(factories.open_session(of=agent), vehicle)
    entries = AuditEntry.objects.count()

    owner = vehicle.owner
    assert owner is not None
    owner.delete()
    vehicle.delete()
    agent.user.delete()

    payment = TaxPayment.objects.get()
    assert (payment.vehicle, payment.plate, payment.amount) == (None, vehicle.plate, 30_000)
    assert AuditEntry.objects.count() == entries
    assert verify_trail().findings == ()
