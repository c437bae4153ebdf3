"""Reminding of what nobody has reconciled (docs/domain.md §5)."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone as clock

from payments.models import Agent, CashSession
from payments.services.reconciling import reconciliation_remind
from payments.services.sessions import session_close, session_count
from tests import factories
from tests.database import contents
from tests.smtp import Relay, body

LOCAL = ZoneInfo("Indian/Antananarivo")
TODAY = datetime(2026, 3, 10, 8, 15, tzinfo=LOCAL)
SUPERVISORS = "supervisors@revenue.example"


def _closed(
    monkeypatch: pytest.MonkeyPatch, at: datetime, *, of: Agent | None = None, variance: int | None = None
) -> CashSession:
    monkeypatch.setattr(clock, "now", lambda: at)
    try:
        session = session_close(session=factories.open_session(of=of), by="user:hery")
        if variance is None:
            return session
        return session_count(session=session, counted_balance=50_000 + variance, by="user:hery")
    finally:
        monkeypatch.undo()


def test_every_closed_session_is_reminded_whatever_its_age(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for days in (0, 1, 40):
        _closed(monkeypatch, TODAY - timedelta(days=days, hours=1))

    report = reconciliation_remind(as_of=TODAY, dry_run=True)

    assert (report.sessions, report.agents, report.not_counted, report.oldest_days) == (3, 3, 3, 40)


def test_variances_are_summed_as_absolute_values(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for variance in (5_000, -5_000, 0):
        _closed(monkeypatch, TODAY - timedelta(days=1), variance=variance)

    assert reconciliation_remind(as_of=TODAY, dry_run=True).variance_total == 10_000


@pytest.mark.parametrize(
    ("closed_at", "supervised"),
    [
        (datetime(2026, 3, 7, 0, 0, tzinfo=LOCAL), 0),
        (datetime(2026, 3, 6, 23, 59, 59, tzinfo=LOCAL), 1),
    ],
)
def test_more_than_three_local_days_is_the_supervisors_business(
    db: None, monkeypatch: pytest.MonkeyPatch, closed_at: datetime, supervised: int
) -> None:
    _closed(monkeypatch, closed_at)

    assert reconciliation_remind(as_of=TODAY, dry_run=True).supervised == supervised


@pytest.mark.django_db(transaction=True)
def test_an_agent_gets_one_mail_a_day_and_the_supervisors_one_list(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = factories.agent(name="<script>Hery</script>")
    counted = _closed(monkeypatch, TODAY - timedelta(days=1), of=agent, variance=-2_500)
    old = _closed(monkeypatch, TODAY - timedelta(days=5), of=agent)

    first = reconciliation_remind(as_of=TODAY, dry_run=False)
    once = contents()
    again = reconciliation_remind(as_of=TODAY + timedelta(hours=9), dry_run=False)

    assert (first.mails, again.mails, contents() == once) == (2, 0, True)
    (mail,) = relay.to(agent.email)
    for piece in (counted.number, old.number, "non comptée", "47\u202f500\xa0Ar", "\u22122\u202f500\xa0Ar"):
        assert piece in body(mail), piece
    assert "&lt;script&gt;" in body(mail, "html")
    assert "<script>" not in body(mail, "html")
    (listed,) = relay.to(SUPERVISORS)
    assert old.number in body(listed)
    assert counted.number not in body(listed)
    tomorrow = reconciliation_remind(as_of=TODAY + timedelta(days=1), dry_run=False)
    assert tomorrow.mails == 2


@pytest.mark.django_db(transaction=True)
def test_agents_without_an_address_are_counted_and_listed(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = factories.agent(email="")
    _closed(monkeypatch, TODAY - timedelta(days=1), of=agent)

    report = reconciliation_remind(as_of=TODAY, dry_run=False)

    assert (report.mails, report.agents_without_address) == (0, (agent.code,))
    assert relay.mails == []


def test_open_and_reconciled_sessions_are_none_of_its_business(db: None) -> None:
    factories.open_session()

    report = reconciliation_remind(as_of=TODAY + timedelta(days=400), dry_run=True)

    assert (report.sessions, report.mails) == (0, 0)
