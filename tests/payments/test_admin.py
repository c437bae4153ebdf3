"""Cash in the admin: read-only records, and actions that call the services."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from audit.models import AuditEntry
from payments.models import CashSession, CashTransaction
from payments.services.sessions import session_close
from payments.services.transactions import transaction_post
from tests import factories

pytestmark = pytest.mark.django_db
MONEY = ["cashsession", "cashtransaction", "transactiondecision", "commissionreport"]


def _client(username: str, *permissions: str, superuser: bool = False) -> Client:
    user = factories.user(username, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def _act(client: Client, model: str, action: str, row: Any, **form: Any) -> str:
    data = {"action": action, "_selected_action": [row.pk], "confirmed": "yes", **form}
    answer = client.post(f"/admin/payments/{model}/", data, follow=True)
    return answer.content.decode()


@pytest.mark.parametrize("model", MONEY)
def test_nobody_adds_or_deletes_money_a_superuser_neither(model: str) -> None:
    chief = _client("chief", superuser=True)

    assert chief.get(f"/admin/payments/{model}/").status_code == 200
    assert chief.get(f"/admin/payments/{model}/add/").status_code == 403
    assert "delete_selected" not in chief.get(f"/admin/payments/{model}/").content.decode()


def test_nobody_edits_a_session_or_a_transaction() -> None:
    chief = _client("chief", superuser=True)
    session = factories.open_session()
    posted = transaction_post(
        session=session, vehicle=factories.vehicle(), fiscal_year=2026, tendered=30_000, by="user:hery"
    )

    for model, row in (("cashsession", session), ("cashtransaction", posted)):
        for page in ("change", "delete"):
            assert chief.post(f"/admin/payments/{model}/{row.pk}/{page}/", {"tax": 1}).status_code == 403


def test_the_form_comes_first_and_nothing_is_done_without_it() -> None:
    chief = _client("chief", superuser=True)
    session = factories.open_session()

    page = chief.post(
        "/admin/payments/cashsession/", {"action": "close_session", "_selected_action": [session.pk]}
    )

    assert 'name="confirmed"' in page.content.decode()
    assert "csrfmiddlewaretoken" in page.content.decode()
    session.refresh_from_db()
    assert session.status == "open"


def test_a_session_is_opened_closed_counted_and_reconciled() -> None:
    chief = _client("chief", superuser=True)
    agent = factories.agent()

    _act(chief, "agent", "open_session", agent, opening_float=10_000)
    session = CashSession.objects.get()
    _act(chief, "cashsession", "close_session", session)
    _act(chief, "cashsession", "count_session", session, counted_balance=10_000)
    _act(chief, "cashsession", "reconcile_session", session, reason="seen")

    session.refresh_from_db()
    assert (session.status, session.variance, session.closed_by) == ("reconciled", 0, "user:chief")
    assert list(AuditEntry.objects.order_by("sequence").values_list("action", flat=True)) == [
        "payments.session.opened",
        "payments.session.closed",
        "payments.session.counted",
        "payments.session.reconciled",
    ]


def test_a_payment_is_taken_approved_and_its_commission_paid() -> None:
    cashier, chief = _client("hery", superuser=True), _client("chief", superuser=True)
    session, aircraft = factories.open_session(), factories.aircraft()

    _act(
        cashier,
        "cashsession",
        "post_transaction",
        session,
        vehicle=aircraft.plate.lower(),
        fiscal_year=2026,
        tendered=2_000_000,
    )
    posted = CashTransaction.objects.get()
    refused = _act(cashier, "cashtransaction", "approve_transaction", posted, reason="mine")
    _act(chief, "cashtransaction", "approve_transaction", posted, reason="papers seen")
    _act(chief, "cashtransaction", "pay_commission", posted)

    assert "une autre personne doit le faire" in refused
    posted.refresh_from_db()
    assert posted.status == "posted"
    assert posted.commission_paid_at is not None


def test_what_the_service_refuses_is_shown_at_its_field() -> None:
    chief = _client("chief", superuser=True)
    session, vehicle = factories.open_session(), factories.vehicle()

    page = _act(
        chief, "cashsession", "post_transaction", session, vehicle=vehicle.plate, fiscal_year=2026, tendered=1
    )

    assert "c’est moins que la taxe de 30000 Ar" in page
    assert CashTransaction.objects.count() == 0


def test_without_the_permission_an_action_is_neither_shown_nor_done() -> None:
    clerk = _client("clerk", "view_cashsession", "close_session")
    session = session_close(session=factories.open_session(), by="user:hery")

    page = clerk.get("/admin/payments/cashsession/").content.decode()
    _act(clerk, "cashsession", "count_session", session, counted_balance=1)

    assert 'value="close_session"' in page
    assert 'value="count_session"' not in page
    session.refresh_from_db()
    assert session.counted_balance is None


def test_a_large_variance_needs_the_supervisors_permission() -> None:
    clerk = _client("clerk", "view_cashsession", "count_session", "reconcile_session")
    supervisor = _client("vola", "view_cashsession", "reconcile_session", "supervise_sessions")
    session = session_close(session=factories.open_session(), by="user:hery")
    _act(clerk, "cashsession", "count_session", session, counted_balance=40_000)

    refused = _act(clerk, "cashsession", "reconcile_session", session, reason="x")
    _act(supervisor, "cashsession", "reconcile_session", session, reason="recounted")

    assert "demande un superviseur" in refused
    session.refresh_from_db()
    assert (session.status, session.reconciled_by) == ("reconciled", "user:vola")


def test_actions_refuse_a_missing_csrf_token() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(factories.user("chief", is_superuser=True))
    session = factories.open_session()

    data = {"action": "close_session", "_selected_action": [session.pk], "confirmed": "yes"}

    assert client.post("/admin/payments/cashsession/", data).status_code == 403


def test_of_several_rows_all_are_done_or_none() -> None:
    chief = _client("chief", superuser=True)
    open_one, closed = (
        factories.open_session(),
        session_close(session=factories.open_session(), by="user:hery"),
    )
    before = AuditEntry.objects.count()

    data = {"action": "close_session", "_selected_action": [open_one.pk, closed.pk], "confirmed": "yes"}
    page = chief.post("/admin/payments/cashsession/", data, follow=True).content.decode()

    open_one.refresh_from_db()
    assert closed.number in page
    assert (open_one.status, AuditEntry.objects.count()) == ("open", before)
