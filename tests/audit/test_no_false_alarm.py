"""What honest work looks like must never be a finding."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connections, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone as clock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit import completeness
from audit.completeness import AuditFinding
from audit.verification import FETCH_ROWS, verify_trail, verify_until
from tests import factories
from tests.audit import forger


@contextmanager
def _writers(count: int, work: Callable[[int], None]) -> Iterator[None]:
    """Threads with connections of their own, writing until the block ends."""
    done, failures = threading.Event(), []

    def write(number: int) -> None:
        try:
            while not done.is_set():
                work(number)
        except Exception as error:  # noqa: BLE001  (whatever it is, the test's own thread raises it)
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert failures == []


@pytest.mark.django_db(transaction=True)
def test_four_writers_at_full_speed_while_it_verifies_five_times() -> None:
    def work(number: int) -> None:
        with transaction.atomic():
            forger.write(1 + number * 30)
            factories.open_session()

    seen = []
    with _writers(4, work):
        while len(seen) < 5 or seen[0] == seen[-1]:
            report = verify_trail()
            assert report.findings == ()
            assert report.last == report.entries
            seen.append(report.entries)

    assert seen == sorted(seen)


@pytest.mark.django_db(transaction=True)
def test_rows_head_and_records_are_seen_at_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given somebody who appends after the rows were read and before the records are compared ...
    def append_meanwhile() -> None:
        try:
            forger.write(5, start=11)
        finally:
            connections.close_all()

    seen = []

    def check(cursor: CursorWrapper) -> list[AuditFinding]:
        writer = threading.Thread(target=append_meanwhile)
        writer.start()
        writer.join()
        cursor.execute("SELECT max(sequence) FROM audit_auditentry")
        seen.append(cursor.fetchone()[0])
        return []

    monkeypatch.setattr(completeness, "_checks", {"tests": check})
    forger.write(10)

    report = verify_trail()

    # ... then the comparison still sees what the walk over the rows saw.
    assert (report.last, seen) == (10, [10])
    assert len(forger.stored()) == 15


@pytest.mark.django_db(transaction=True)
def test_a_dry_run_and_a_window_are_not_disturbed_by_writers_either() -> None:
    forger.write(3 * FETCH_ROWS)
    with _writers(2, lambda number: forger.write(1 + number)):
        for _ in range(5):
            with transaction.atomic():
                assert verify_trail().findings == ()
            assert verify_trail(from_sequence=FETCH_ROWS, to_sequence=2 * FETCH_ROWS).findings == ()
            call_command("verify_audit_trail", dry_run=True)


@pytest.mark.django_db
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.integers(1, 30), size=st.integers(0, 40))
def test_a_window_may_begin_and_end_anywhere(db: None, first: int, size: int) -> None:
    """The replaced system's 30-day window began with an empty hash: a false alarm every day."""
    with transaction.atomic():
        forger.write(30)
        last = min(first + size, 30)

        report = verify_trail(from_sequence=first, to_sequence=last)

        assert (report.findings, report.first, report.last) == ((), first, last)
        assert verify_trail(from_sequence=first).findings == ()
        transaction.set_rollback(True)


@pytest.mark.django_db
def test_an_empty_trail_is_sound_and_says_so() -> None:
    report = verify_trail()

    assert (report.entries, report.first, report.last, report.findings) == (0, 0, 0, ())
    assert report.head_hash == ""


@pytest.mark.django_db
def test_up_to_a_months_end_is_up_to_its_last_microsecond(monkeypatch: pytest.MonkeyPatch) -> None:
    end = datetime(2026, 3, 31, 21, 0, tzinfo=UTC)  # midnight in Antananarivo
    for at in (end - timedelta(hours=1), end - timedelta(microseconds=1), end, end + timedelta(hours=1)):
        monkeypatch.setattr(clock, "now", lambda at=at: at)
        forger.write(1)

    report = verify_until(at=end)

    assert (report.findings, report.last) == ((), 2)
    assert verify_until(at=end - timedelta(days=1)).entries == 0


@pytest.mark.django_db
def test_more_rows_than_one_fetch_are_all_verified() -> None:
    forger.write(FETCH_ROWS + 1)

    report = verify_trail()

    assert (report.entries, report.findings) == (FETCH_ROWS + 1, ())
