"""Appending to the audit trail: the head row locked, entries chained, all in the caller's transaction."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from audit.models import AuditEntry, AuditHead
from audit.record import FIELDS, NewEntry, canonical_json, entry_hash, microseconds

COLUMNS = (*FIELDS, "previous_hash", "entry_hash")
# A COPY costs a round trip more than an INSERT; from a few dozen rows on it is far faster.
COPY_FROM = 50


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
    (appended,) = append_entries([entry])
    return appended


def append_entries(entries: Iterable[NewEntry], *, at: Sequence[datetime] | None = None) -> list[AuditEntry]:
    """
    Append entries in this order under one lock of the head.

    :param at: times of their own, never decreasing; for the demo data's history on an empty trail only.
    :raises TrailNotEmpty: ``at`` was given and there are entries already.
    """
    if not connection.in_atomic_block:
        raise OutsideTransaction("append audit entries inside the transaction of what they tell of")
    new = list(entries)
    if not new:
        return []
    head = AuditHead.objects.select_for_update().get(pk=1)
    if at is not None and head.sequence:
        raise TrailNotEmpty("entries with times of their own can only start a trail")
    rows = list(_chained(head, new, at))
    _store(rows)
    last = rows[-1]
    AuditHead.objects.filter(pk=1).update(
        sequence=last.sequence, at_us=last.at_us, entry_hash=bytes(last.entry_hash)
    )
    return rows


def _chained(
    head: AuditHead, entries: Sequence[NewEntry], at: Sequence[datetime] | None
) -> Iterator[AuditEntry]:
    sequence, at_us, previous = head.sequence, head.at_us, bytes(head.entry_hash)
    # The clock is read with the head locked: neither a late retry nor a clock set back writes the past.
    now_us = microseconds(timezone.now())
    for index, entry in enumerate(entries):
        sequence += 1
        at_us = max(at_us, now_us if at is None else microseconds(at[index]))
        payload = canonical_json(entry.payload)
        body = (sequence, at_us, entry.actor, entry.action, entry.subject_type, entry.subject_id, payload)
        digest = entry_hash(origin=settings.AUDIT_ORIGIN, previous_hash=previous, body=body)
        yield AuditEntry(**dict(zip(FIELDS, body, strict=True)), previous_hash=previous, entry_hash=digest)
        previous = digest


def _store(rows: Sequence[AuditEntry]) -> None:
    if len(rows) < COPY_FROM:
        AuditEntry.objects.bulk_create(rows)
        return
    table = connection.ops.quote_name(AuditEntry._meta.db_table)
    columns = ", ".join(map(connection.ops.quote_name, COLUMNS))
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([getattr(row, column) for column in COLUMNS])


def trail_is_empty() -> bool:
    """Say whether nothing has been appended yet."""
    with transaction.atomic():
        return AuditHead.objects.get(pk=1).sequence == 0
