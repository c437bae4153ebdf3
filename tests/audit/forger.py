"""
Somebody with the table owner's rights, who takes the guards away and computes hashes as he likes.

The hashing is written here a second time, from the record's description, so that it also checks the first.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from django.db import connection, transaction

from audit.record import NewEntry
from audit.services import append_entries

ORIGIN = "tests.taxops.example"
CONSTRAINTS = (
    "audit_auditentry_pkey",
    "audit_auditentry_previous_hash_key",
    "audit_entry_sequence_from_1",
    "audit_entry_hashes_are_32_bytes",
)


@dataclass(frozen=True)
class Row:
    """One entry's columns, in the table's order."""

    sequence: int
    at_us: int
    actor: str
    action: str
    subject_type: str
    subject_id: str
    payload: str
    previous_hash: bytes
    entry_hash: bytes


def preimage(row: Row, *, origin: str = ORIGIN) -> bytes:
    """The bytes whose SHA-256 is the entry's hash."""

    def netstring(text: str) -> bytes:
        return str(len(text.encode())).encode() + b":" + text.encode() + b","

    columns = [str(row.sequence), str(row.at_us), row.actor, row.action, row.subject_type, row.subject_id]
    body = b"".join(netstring(text) for text in [*columns, row.payload])
    return b"taxops.audit.entry.v1\n" + netstring(origin) + row.previous_hash + body


def rehashed(row: Row, *, origin: str = ORIGIN, **changes: Any) -> Row:
    """The row with these changes, and the hash that it should then have."""
    changed = replace(row, **changes)
    return replace(changed, entry_hash=hashlib.sha256(preimage(changed, origin=origin)).digest())


def rechained(rows: Iterable[Row], *, origin: str = ORIGIN) -> list[Row]:
    """All rows linked and hashed anew, in this order and with these sequences."""
    previous, chained = bytes(32), []
    for row in rows:
        chained.append(rehashed(row, origin=origin, previous_hash=previous))
        previous = chained[-1].entry_hash
    return chained


def stored() -> list[Row]:
    """What the table holds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM audit_auditentry ORDER BY sequence, entry_hash")
        return [Row(*values) for values in cursor.fetchall()]


def replace_table(rows: Iterable[Row], *, head: Row | None = None) -> None:
    """Put these rows in the table's place, past every guard; with ``head``, the head moved to that row."""
    marks = ", ".join(["%s"] * 9)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_auditentry DISABLE TRIGGER USER")
        for name in CONSTRAINTS:
            cursor.execute(f"ALTER TABLE audit_auditentry DROP CONSTRAINT IF EXISTS {name}")
        cursor.execute("DELETE FROM audit_auditentry")
        for row in rows:
            cursor.execute(f"INSERT INTO audit_auditentry VALUES ({marks})", list(vars(row).values()))  # noqa: S608
        if head is not None:
            cursor.execute(
                "UPDATE audit_audithead SET sequence = %s, at_us = %s, entry_hash = %s",
                [head.sequence, head.at_us, head.entry_hash],
            )


def write(count: int, *, start: int = 1, payload: dict[str, Any] | None = None) -> None:
    """Honest entries that no business record belongs to."""
    with transaction.atomic():
        append_entries(
            NewEntry("user:hery", "tests.thing.done", "tests.thing", f"T-{number}", payload or {"n": number})
            for number in range(start, start + count)
        )
