"""The mail to the operators: five parts, escaped, recognisable when it comes twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from airflow_django.deadline import counted_from
from airflow_django.incident import Incident, advice_of, period_of, shortened
from airflow_django.mail import compose

INCIDENT = Incident(
    headline="FAILED",
    operation="verify_audit_trail",
    summary="Verify every entry",
    run_id="scheduled__2026-03-01T02:00:00+03:00",
    period="2026-03-01 02:00 (Indian/Antananarivo)",
    cause="entry 17: hash: expected <b>a</b>, found {{ b }}",
    advice="Keep the database as it is.",
    fingerprint="failed verify_audit_trail x 1",
    try_number=2,
)


def test_it_has_the_five_parts_in_text_and_html() -> None:
    mail = compose(INCIDENT, base_url="http://airflow.example/")

    for kind in ("plain", "html"):
        part = mail.get_body((kind,))
        assert part is not None
        content = part.get_content()
        run = (
            "http://airflow.example/dags/verify_audit_trail/runs/scheduled__2026-03-01T02%3A00%3A00%2B03%3A00"
        )
        for piece in (
            "verify_audit_trail",
            INCIDENT.period,
            "entry 17",
            run,
            f"{run}/tasks/verify_audit_trail?try_number=2",
            INCIDENT.advice,
        ):
            assert piece in content, piece


def test_what_it_quotes_is_text() -> None:
    html = compose(INCIDENT, base_url="http://x").get_body(("html",))

    assert html is not None
    assert "&lt;b&gt;a&lt;/b&gt;" in html.get_content()
    assert "{{ b }}" in html.get_content()


def test_a_line_break_in_a_run_id_adds_no_header() -> None:
    with pytest.raises(ValueError, match=r"linefeed|newline|header"):
        compose(replace(INCIDENT, run_id="x\nBcc: everybody@x.example"), base_url="http://x")


def test_the_same_happening_has_the_same_message_id() -> None:
    first, second = (compose(INCIDENT, base_url="http://x")["Message-ID"] for _ in range(2))

    assert first == second
    assert first != compose(replace(INCIDENT, fingerprint="other"), base_url="http://x")["Message-ID"]


def test_the_advice_is_the_operations_page() -> None:
    doc = "What.\n\n## Writes\nMuch.\n\n## When it fails\nLook at\nthe log.\n\n## More\nx"

    assert advice_of(doc) == "Look at the log."
    assert "Read the task's log" in advice_of(None)


def test_the_period_of_a_report_is_its_month() -> None:
    run = {"conf": {}, "run_after": "2026-04-01T06:00:00Z", "data_interval_start": "2026-02-28T21:30:00Z"}

    assert period_of(run=run, zone="Indian/Antananarivo", interval="month") == "2026-03"
    assert period_of(run={**run, "conf": {"month": "2025-01"}}, zone="UTC", interval="month") == "2025-01"
    assert (
        period_of(run=run, zone="Indian/Antananarivo", interval="")
        == "2026-04-01 09:00 (Indian/Antananarivo)"
    )
    assert period_of(run={}, zone="UTC", interval="") == "unknown"


def test_a_long_cause_is_shortened_to_one_line() -> None:
    assert shortened("a\nb") == "a b"
    assert len(shortened("x" * 5_000)) < 1_100


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_deadline_counts_from_the_scheduled_instant_unless_the_run_was_created_late() -> None:
    on_time, late = NOON - timedelta(minutes=5), NOON - timedelta(minutes=5, microseconds=1)

    assert counted_from("scheduled", on_time, NOON) == on_time
    assert counted_from("manual", late, NOON) == NOON
    assert counted_from("backfill", on_time, NOON) is None
    assert counted_from("DagRunType.BACKFILL_JOB", on_time, NOON) is None
