"""Appending: gapless, chained, in the caller's transaction, never into the past."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone as clock

from audit.models import AuditEntry, AuditHead
from audit.record import NewEntry, PayloadRefused
from audit.services import COPY_FROM, OutsideTransaction, TrailNotEmpty, append_entries, append_entry
from audit.verification import verify_trail
from tests.audit import forger

NOON = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
NOON_US = 1_773_133_200_000_000


def _entries(count: int, **payload: object) -> list[NewEntry]:
    return [
        NewEntry("user:hery", "tests.thing.done", "tests.thing", f"T-{n}", payload or {"n": n})
        for n in range(1, count + 1)
    ]


def test_an_entry_is_chained_to_the_one_before_and_moves_the_head(db: None, monkeypatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOON)
    fields = {
        "actor": "user:hery",
        "action": "tests.thing.done",
        "subject_type": "tests.thing",
        "subject_id": "T-1",
    }

    first = append_entry(**fields, payload={"b": 2, "a": "e\u0301"})
    second = append_entry(**fields, payload={})

    assert (first.sequence, first.at_us, first.payload) == (1, NOON_US, '{"a":"é","b":2}')
    assert (first.at, first.previous_hash) == (NOON, bytes(32))
    rows = forger.stored()
    assert rows == forger.rechained(rows)
    assert (rows[0].entry_hash, rows[1].entry_hash) == (first.entry_hash, second.entry_hash)
    head = AuditHead.objects.get()
    assert (head.sequence, head.at_us, bytes(head.entry_hash)) == (2, NOON_US, second.entry_hash)


@pytest.mark.parametrize("count", [1, COPY_FROM - 1, COPY_FROM, COPY_FROM + 1])
def test_few_and_many_entries_are_stored_alike(db: None, count: int) -> None:
    entries = _entries(count, text='tab\t "quote" \\ line\nend é ✓ \x01', number=-(2**53) + 1, none=None)
    forger.write(2)

    assert append_entries(entries) == count

    rows = forger.stored()
    assert [row.sequence for row in rows] == list(range(1, count + 3))
    assert rows == forger.rechained(rows)
    assert verify_trail().findings == ()


def test_nothing_to_append_moves_nothing(db: None) -> None:
    assert append_entries([]) == 0

    assert (AuditHead.objects.get().sequence, AuditEntry.objects.count()) == (0, 0)


@pytest.mark.django_db(transaction=True)
def test_outside_a_transaction_it_is_refused() -> None:
    with pytest.raises(OutsideTransaction):
        append_entries(_entries(1))

    assert AuditEntry.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_leaves_no_gap() -> None:
    forger.write(2)
    with transaction.atomic():
        append_entries(_entries(3))
        transaction.set_rollback(True)
    forger.write(1)

    assert [row.sequence for row in forger.stored()] == [1, 2, 3]
    assert verify_trail().findings == ()


@pytest.mark.parametrize("count", [2, COPY_FROM + 10])
def test_one_refused_payload_appends_nothing_and_the_transaction_goes_on(db: None, count: int) -> None:
    poison = NewEntry("user:hery", "tests.thing.done", "tests.thing", "T", {"amount": 1.5})

    with pytest.raises(PayloadRefused, match="amount"):
        append_entries([*_entries(count), poison])

    assert AuditEntry.objects.count() == 0
    forger.write(1)
    assert verify_trail().entries == 1


def test_a_clock_set_back_by_an_hour_does_not_write_the_past(db: None, monkeypatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOON)
    forger.write(1)
    monkeypatch.setattr(clock, "now", lambda: NOON - timedelta(hours=1))
    forger.write(1)
    monkeypatch.setattr(clock, "now", lambda: NOON + timedelta(minutes=1))
    forger.write(1)

    assert [row.at_us - NOON_US for row in forger.stored()] == [0, 0, 60_000_000]
    assert verify_trail().findings == ()


@pytest.mark.django_db(transaction=True)
def test_the_time_is_read_with_the_head_locked_not_before(monkeypatch) -> None:
    # Given one writer that holds the head while another one waits for it ...
    waiting = threading.Event()

    def late() -> None:
        try:
            waiting.set()
            forger.write(1)
        finally:
            connections.close_all()

    with transaction.atomic():
        append_entries(_entries(1))
        other = threading.Thread(target=late)
        other.start()
        waiting.wait()
        _until_somebody_waits_for_a_lock()
        after = clock.now()
    other.join()

    # ... then the second entry's time is from after the wait.
    first, second = forger.stored()
    assert first.at_us < int(after.timestamp() * 1_000_000) <= second.at_us


def _until_somebody_waits_for_a_lock() -> None:
    for _ in range(500):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*), pg_sleep(0.01) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
    raise AssertionError("nobody waits")


def test_history_can_start_a_trail_and_only_start_it(db: None) -> None:
    times = [NOON, NOON, NOON + timedelta(microseconds=1)]

    append_entries(_entries(3), at=times)

    assert [row.at_us - NOON_US for row in forger.stored()] == [0, 0, 1]
    with pytest.raises(TrailNotEmpty):
        append_entries(_entries(1), at=[NOON])
    assert verify_trail().findings == ()


def test_times_of_history_must_not_decrease_and_be_one_for_each(db: None) -> None:
    with pytest.raises(ValueError, match="2 times for 1 entries"):
        append_entries(_entries(1), at=[NOON, NOON])
    with pytest.raises(ValueError, match="decrease"):
        append_entries(_entries(2), at=[NOON, NOON - timedelta(microseconds=1)])

    assert AuditEntry.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_four_writers_make_one_chain_without_fork_or_gap() -> None:
    def writer(number: int) -> None:
        try:
            for n in range(25):
                with transaction.atomic():
                    append_entries(_entries(1 + n % 3, writer=number, n=n))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=writer, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    rows = forger.stored()
    assert [row.sequence for row in rows] == list(range(1, 4 * (9 * 1 + 8 * 2 + 8 * 3) + 1))
    assert rows == forger.rechained(rows)
    assert verify_trail().findings == ()
