"""Opening, counting and reconciling (docs/domain.md §3)."""

import pytest

from audit.models import AuditEntry
from audit.verification import verify_trail
from payments.models import CashSession
from payments.rules import Refused
from payments.services.sessions import session_close, session_count, session_open, session_reconcile
from tests import factories

pytestmark = pytest.mark.django_db


def _counted(variance: int) -> CashSession:
    session = session_close(session=factories.open_session(), by="user:hery")
    return session_count(session=session, counted_balance=50_000 + variance, by="user:hery")


def test_an_agent_has_one_open_session() -> None:
    agent = factories.agent()
    session_open(agent=agent, opening_float=1, by="user:hery")

    with pytest.raises(Refused, match=r"agent: .* open session already"):
        session_open(agent=agent, opening_float=1, by="user:hery")


def test_an_inactive_agent_opens_nothing() -> None:
    with pytest.raises(Refused, match="agent"):
        session_open(agent=factories.agent(active=False), opening_float=1, by="user:hery")


def test_numbers_follow_each_other_within_the_local_day() -> None:
    numbers = [factories.open_session().number for _ in range(3)]

    assert [int(number[-6:]) for number in numbers] == [1, 2, 3]


def test_a_count_leaves_the_variance_to_be_seen() -> None:
    session = _counted(-700)

    assert (session.counted_balance, session.variance) == (49_300, -700)
    with pytest.raises(Refused, match="counted already"):
        session_count(session=session, counted_balance=50_000, by="user:hery")


def test_a_session_that_was_not_counted_is_not_reconciled() -> None:
    session = session_close(session=factories.open_session(), by="user:hery")

    with pytest.raises(Refused, match="not counted"):
        session_reconcile(session=session, by="user:vola", reason="x", supervisor=True)


@pytest.mark.parametrize("variance", [-1_000, 0, 1_000])
def test_up_to_a_thousand_ariary_needs_no_supervisor(variance: int) -> None:
    session = session_reconcile(session=_counted(variance), by="user:hery", reason="seen", supervisor=False)

    assert session.status == "reconciled"
    assert verify_trail().findings == ()


@pytest.mark.parametrize("variance", [-1_001, 1_001])
def test_more_needs_a_supervisor_who_did_not_count(variance: int) -> None:
    session = _counted(variance)

    with pytest.raises(Refused, match="needs a supervisor"):
        session_reconcile(session=session, by="user:vola", reason="x", supervisor=False)
    with pytest.raises(Refused, match="second person"):
        session_reconcile(session=session, by="user:hery", reason="x", supervisor=True)
    session_reconcile(session=session, by="user:vola", reason="recounted", supervisor=True)

    assert (
        AuditEntry.objects.filter(action="payments.session.reconciled", subject_id=session.number).count()
        == 1
    )


def test_a_reconciliation_says_why() -> None:
    with pytest.raises(Refused, match="reason"):
        session_reconcile(session=_counted(0), by="user:vola", reason=" \n ", supervisor=True)


def test_a_refused_service_writes_no_entry() -> None:
    session = _counted(5_000)
    before = AuditEntry.objects.count()

    with pytest.raises(Refused):
        session_reconcile(session=session, by="user:vola", reason="x", supervisor=False)

    assert AuditEntry.objects.count() == before
