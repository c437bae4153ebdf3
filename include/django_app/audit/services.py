"""Appending to the audit trail: the head row locked, entries chained, all in the caller's transaction."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import chain, pairwise, repeat
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from audit.models import AuditEntry, AuditHead
from audit.record import FIELDS, NewEntry, canonical_json, microseconds, netstring, prefix

COLUMNS = (*FIELDS, "previous_hash", "entry_hash")
# A COPY costs a round trip more than an INSERT; from a few dozen rows on it is far faster.
COPY_FROM = 50

Body = tuple[int, int, str, str, str, str, str]
Row = tuple[int, int, str, str, str, str, str, bytes, bytes]


class OutsideTransaction(RuntimeError):
    """An entry must commit together with what it tells of."""


class TrailNotEmpty(RuntimeError):
    """Only an empty trail may be given entries with times of their own."""


def append_entry(
    *, actor: str, action: str, subject_type: str, subject_id: str, payload: dict[str, Any]
) -> AuditEntry:
    """
    Append one entry in the caller's transaction.

    :raises OutsideTransaction: there is none.
    :raises audit.record.PayloadRefused: the payload has no canonical form.
    """
    entry = NewEntry(actor, action, subject_type, subject_id, payload)
    row = _append([entry], None)
    assert row is not None  # noqa: S101  (one entry was given)
    return AuditEntry(**dict(zip(COLUMNS, row, strict=True)))


def append_entries(entries: Iterable[NewEntry], *, at: Sequence[datetime] | None = None) -> int:
    """
    Append entries in this order under one lock of the head, in the caller's transaction.

    :param at: times of their own, never decreasing; for the demo data's history on an empty trail only.
    :returns: how many were appended.
    :raises OutsideTransaction: there is no transaction.
    :raises TrailNotEmpty: ``at`` was given and there are entries already.
    :raises audit.record.PayloadRefused: a payload has no canonical form; nothing was appended.
    """
    new = list(entries)
    if at is not None:
        _refuse_times(at, len(new))
    _append(new, at)
    return len(new)


def _refuse_times(at: Sequence[datetime], entries: int) -> None:
    if len(at) != entries:
        raise ValueError(f"{len(at)} times for {entries} entries")
    if any(later < earlier for earlier, later in pairwise(at)):
        raise ValueError("the times decrease")


def _append(new: Sequence[NewEntry], at: Sequence[datetime] | None) -> Row | None:
    """Append in the caller's transaction, and return the last row."""
    if not connection.in_atomic_block:
        raise OutsideTransaction("append audit entries inside the transaction of what they tell of")
    if not new:
        return None
    head = AuditHead.objects.select_for_update().get(pk=1)
    if at is not None and head.sequence:
        raise TrailNotEmpty("entries with times of their own can only start a trail")
    # The clock is read with the head locked: neither a late retry nor a clock set back writes the past.
    now_us = microseconds(timezone.now())
    times = map(microseconds, at) if at is not None else repeat(now_us, len(new))
    last = _store(_linked(head, zip(new, times, strict=True)), many=len(new) >= COPY_FROM)
    sequence, at_us, entry_hash = last[0], last[1], last[-1]
    AuditHead.objects.filter(pk=1).update(sequence=sequence, at_us=at_us, entry_hash=entry_hash)
    return last


def _linked(head: AuditHead, entries: Iterable[tuple[NewEntry, int]]) -> Iterator[Row]:
    """Make the rows that follow the head."""
    sequence, at_us, previous = head.sequence, head.at_us, bytes(head.entry_hash)
    before = prefix(settings.AUDIT_ORIGIN)
    for entry, time_us in entries:
        sequence += 1
        at_us = max(at_us, time_us)
        payload = canonical_json(entry.payload)
        body: Body = (
            sequence,
            at_us,
            entry.actor,
            entry.action,
            entry.subject_type,
            entry.subject_id,
            payload,
        )
        entry_hash = sha256(before + previous + b"".join([netstring(value) for value in body])).digest()
        yield (*body, previous, entry_hash)
        previous = entry_hash


def _store(rows: Iterator[Row], *, many: bool) -> Row:
    """Store rows as they come, and return the last one."""
    columns = ", ".join(map(connection.ops.quote_name, COLUMNS))
    table = connection.ops.quote_name(AuditEntry._meta.db_table)
    if not many:
        few = list(rows)
        values = ", ".join(["(" + ", ".join(["%s"] * len(COLUMNS)) + ")"] * len(few))
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {table} ({columns}) VALUES {values}", list(chain(*few)))  # noqa: S608
        return few[-1]
    # Rows are linked while the server stores those before; a refused one takes back the whole COPY.
    copy_rows = f"COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)"
    with transaction.atomic(), connection.cursor() as cursor, cursor.copy(copy_rows) as copy:
        copy.set_types(["int8", "int8", *["text"] * 5, "bytea", "bytea"])
        for row in rows:
            copy.write_row(row)
    return row


def trail_is_empty() -> bool:
    """Say whether nothing has been appended yet."""
    return AuditHead.objects.get(pk=1).sequence == 0
