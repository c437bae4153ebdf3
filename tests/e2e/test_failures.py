"""What goes wrong is retried or told, once, by mail; and the effect is there once."""

import re
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

from tests.e2e.stack import RunningStack, wait_for

CLOSE = "close_expired_sessions"
VERIFY = "verify_audit_trail"
RECONCILE = "reconciliation_reminder"
REPORT = "generate_commission_report"


def _parts(mail: EmailMessage) -> tuple[str, str]:
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    return text.get_content(), html.get_content()


def _one_mail(stack: RunningStack, *words: str, seconds: float = 60) -> EmailMessage:
    """The one mail about this; a second one would come within seconds of the first, so look again."""
    wait_for(f"mail {words}", lambda: stack.mails_about(*words), seconds=seconds)
    try:
        wait_for("a second mail", lambda: len(stack.mails_about(*words)) > 1 or None, seconds=8)
    except AssertionError:
        return stack.mails_about(*words)[0]
    raise AssertionError(f"{len(stack.mails_about(*words))} mails about {words}")


def _has_the_five_parts(mail: EmailMessage, operation: str, run_id: str, cause: str, advice: str) -> None:
    for body in _parts(mail):
        assert operation in body
        assert "Period" in body
        assert cause in body
        assert re.search(rf"http://127\.0\.0\.1:\d+/dags/{operation}/runs/{run_id}", body), body
        assert f"/tasks/{operation}" in body
        assert "What to do" in body
        assert advice in " ".join(body.split())


def _rewrite(stack: RunningStack, sequence: int, payload: str) -> None:
    """Change an entry as only the table's owner can: with its guards off."""
    stack.sql("ALTER TABLE audit_auditentry DISABLE TRIGGER USER", owner=True)
    stack.sql("UPDATE audit_auditentry SET payload = %s WHERE sequence = %s", payload, sequence, owner=True)
    for guard in ("audit_entry_append_only", "audit_entry_no_truncate"):
        stack.sql(f"ALTER TABLE audit_auditentry ENABLE ALWAYS TRIGGER {guard}", owner=True)


def test_a_tampered_entry_fails_once_and_is_named_in_one_mail(stack: RunningStack) -> None:
    (entry,) = stack.sql(
        "SELECT sequence, payload FROM audit_auditentry ORDER BY sequence OFFSET 100 LIMIT 1"
    )
    _rewrite(stack, entry["sequence"], '{"amount":1}')
    try:
        stack.trigger(VERIFY, "tampered")
        run = stack.finished(VERIFY, "tampered")
        task = stack.task(VERIFY, "tampered")
        mail = _one_mail(stack, "FAILED", VERIFY, "tampered")
    finally:
        _rewrite(stack, entry["sequence"], entry["payload"])

    assert (run["state"], task["try_number"]) == ("failed", 1)
    _has_the_five_parts(mail, VERIFY, "tampered", str(entry["sequence"]), "")
    (row,) = stack.sql("SELECT exit_code, error FROM operations_operationrun WHERE dag_run_id = 'tampered'")
    assert row["exit_code"] == 65
    assert str(entry["sequence"]) in row["error"]

    stack.trigger(VERIFY, "repaired")
    assert stack.finished(VERIFY, "repaired")["state"] == "success"


def _tomorrow() -> str:
    """An instant at which every session of now has been open for more than 12 hours."""
    return (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")


def _reopen_some_sessions(stack: RunningStack) -> list[str]:
    """Open new sessions through the service, long enough ago to be closed; audit entries are written."""
    script = (
        "from payments.models import Agent\n"
        "from payments.services.sessions import session_open\n"
        "for agent in Agent.objects.filter(active=True).exclude(sessions__status='open')[:3]:\n"
        "    print(session_open(agent=agent, opening_float=10_000, by='user:test').number)\n"
    )
    return stack.manage("shell", "-c", script).stdout.split()[-3:]


def test_a_connection_cut_in_the_middle_is_retried_to_success(stack: RunningStack) -> None:
    sessions = _reopen_some_sessions(stack)
    stack.failpoints("payments.close.before_commit=drop@1")

    stack.trigger(CLOSE, "cut", {"as_of": _tomorrow()})

    assert stack.finished(CLOSE, "cut")["state"] == "success"
    assert stack.task(CLOSE, "cut")["try_number"] == 2
    _each_is_closed_once(stack, sessions)


def test_a_killed_task_is_retried_and_has_one_effect(stack: RunningStack) -> None:
    sessions = _reopen_some_sessions(stack)
    stack.failpoints("payments.close.before_commit=kill@1")

    stack.trigger(CLOSE, "killed", {"as_of": _tomorrow()})

    assert stack.finished(CLOSE, "killed")["state"] == "success"
    assert stack.task(CLOSE, "killed")["try_number"] == 2
    _each_is_closed_once(stack, sessions)
    states = stack.sql("SELECT state FROM operations_operationrun WHERE dag_run_id = 'killed' ORDER BY id")
    assert [row["state"] for row in states] == ["abandoned", "succeeded"]
    assert stack.mails_about("FAILED", CLOSE, "killed") == []


def _each_is_closed_once(stack: RunningStack, sessions: list[str]) -> None:
    assert len(sessions) == 3
    for number in sessions:
        (row,) = stack.sql(
            "SELECT status, counted_balance FROM payments_cashsession WHERE number = %s", number
        )
        assert (row["status"], row["counted_balance"]) == ("closed", None)
        entries = stack.sql(
            "SELECT 1 FROM audit_auditentry WHERE action = 'payments.session.closed' AND subject_id = %s",
            number,
        )
        assert len(entries) == 1
        mails = stack.sql("SELECT 1 FROM outbox_mail WHERE key = %s", f"session-closed:{number}")
        assert len(mails) == 1


def test_a_task_killed_at_its_last_try_is_told_in_one_mail(stack: RunningStack) -> None:
    _reopen_some_sessions(stack)
    stack.failpoints("payments.close.before_commit=kill")

    stack.trigger(CLOSE, "killed-for-good", {"as_of": _tomorrow()})

    assert stack.finished(CLOSE, "killed-for-good", seconds=120)["state"] == "failed"
    mail = _one_mail(stack, "FAILED", CLOSE, "killed-for-good")
    _has_the_five_parts(mail, CLOSE, "killed-for-good", "", "")
    stack.failpoints("")
    stack.trigger(CLOSE, "after-the-kills", {"as_of": _tomorrow()})
    assert stack.finished(CLOSE, "after-the-kills")["state"] == "success"


def test_a_slow_run_is_told_at_its_deadline_in_one_mail(stack: RunningStack) -> None:
    stack.failpoints("payments.reconciliation.selected=sleep:40@1")

    stack.trigger(RECONCILE, "slow")

    mail = _one_mail(stack, "SLA missed", RECONCILE, "slow")
    assert stack.finished(RECONCILE, "slow")["state"] == "success"
    _has_the_five_parts(mail, RECONCILE, "slow", "20", "")


def test_a_slow_backfill_raises_no_deadline_mail(stack: RunningStack) -> None:
    stack.failpoints("payments.report.figures=sleep:60@1")

    stack.airflow(
        "backfill", "create", "--dag-id", REPORT, "--from-date", "2026-01-01", "--to-date", "2026-01-31"
    )
    wait_for(
        "end of the backfill",
        lambda: (
            all(
                b["completed_at"] for b in stack.api("GET", f"/api/v2/backfills?dag_id={REPORT}")["backfills"]
            )
            or None
        ),
        seconds=180,
    )

    assert stack.mails_about("SLA missed", REPORT) == []


def test_with_the_database_down_the_mail_still_goes(stack: RunningStack) -> None:
    # The application's role is shut out, as if its database were away; Airflow's own stays.
    stack.superuser("ALTER ROLE taxops NOLOGIN")
    try:
        stack.trigger(CLOSE, "no-database")
        assert stack.finished(CLOSE, "no-database", seconds=120)["state"] == "failed"
        mail = _one_mail(stack, "FAILED", CLOSE, "no-database")
    finally:
        stack.superuser("ALTER ROLE taxops LOGIN")
    _has_the_five_parts(mail, CLOSE, "no-database", "", "")
