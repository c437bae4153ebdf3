"""
Verifying the trail: every row in full, against its neighbours, the head and the business records.

All of it reads one snapshot, so entries appended meanwhile neither disturb nor are half seen.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from audit.completeness import AuditFinding, run_checks
from audit.record import FIELDS, GENESIS, microseconds, netstring, prefix

Row = tuple[Any, ...]

FETCH_ROWS = 5_000
# A rewritten trail has as many findings as entries; a person needs the first.
FINDINGS_KEPT = 100


@dataclass(frozen=True)
class AuditReport:
    """
    What a verification saw.

    :ivar entries: how many entries were verified.
    :ivar first: the first one's sequence, 0 for none.
    :ivar last: the last one's.
    :ivar head_hash: hex of the last entry's hash, as computed here.
    :ivar findings: at most :data:`FINDINGS_KEPT`; ``findings_total`` counts all.
    """

    entries: int
    first: int
    last: int
    head_hash: str
    seconds: float
    findings_total: int = 0
    findings: tuple[AuditFinding, ...] = field(default_factory=tuple)

    @property
    def sound(self) -> bool:
        """Nothing was found."""
        return self.findings_total == 0


def verify_trail(
    *, from_sequence: int = 1, to_sequence: int | None = None, with_business: bool = True
) -> AuditReport:
    """
    Verify the entries of a range, by default the whole trail.

    A range that doesn't begin at 1 starts from the entry before it, never from an empty hash.

    :param with_business: also compare with the business records (needs the whole trail).
    :raises django.db.OperationalError: could not verify, which is never "sound".
    """
    started = time.monotonic()
    walk = _Walk(settings.AUDIT_ORIGIN)
    # Inside a caller's transaction (a dry run, a report) the snapshot is the caller's.
    outermost = not connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if outermost:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        whole = from_sequence == 1 and to_sequence is None
        if from_sequence > 1:
            walk.start_from(_entry_before(cursor, from_sequence), from_sequence)
        walk.run(_rows(from_sequence, to_sequence))
        if whole:
            walk.compare_with_head(_head(cursor))
        if whole and with_business:
            walk.add(run_checks(cursor))
    return walk.report(seconds=round(time.monotonic() - started, 3))


def _rows(first: int, last: int | None) -> Iterator[Row]:
    """Stream the rows by a server-side cursor, memory flat whatever the length."""
    connection.ensure_connection()
    columns = ", ".join((*FIELDS, "previous_hash", "entry_hash"))
    until = "" if last is None else f" AND sequence <= {int(last)}"
    with connection.connection.cursor(name="audit_verification") as cursor:
        cursor.itersize = FETCH_ROWS
        cursor.execute(
            f"SELECT {columns} FROM audit_auditentry WHERE sequence >= %s{until} ORDER BY sequence",  # noqa: S608
            [first],
        )
        yield from cursor


def _entry_before(cursor: Any, sequence: int) -> tuple[bytes, int] | None:
    cursor.execute("SELECT entry_hash, at_us FROM audit_auditentry WHERE sequence = %s", [sequence - 1])
    row = cursor.fetchone()
    return (bytes(row[0]), row[1]) if row else None


def _head(cursor: Any) -> tuple[int, bytes]:
    cursor.execute("SELECT sequence, entry_hash FROM audit_audithead WHERE id = 1")
    row = cursor.fetchone()
    return (row[0], bytes(row[1])) if row else (-1, b"")


class _Walk:
    """Goes from row to row and keeps what the next one must agree with."""

    def __init__(self, origin: str) -> None:
        self._prefix = prefix(origin)
        self._previous, self._at_us, self._next = GENESIS, 0, 1
        self._first = self._last = self._count = self._total = 0
        self._kept: list[AuditFinding] = []

    def start_from(self, before: tuple[bytes, int] | None, sequence: int) -> None:
        self._next = sequence
        if before is None:
            self._find(sequence - 1, "gap", "the entry before the range", "no such entry")
        else:
            self._previous, self._at_us = before

    def run(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._check(row)

    def _check(self, row: Row) -> None:
        *body, previous, stored = row
        sequence, at_us = body[0], body[1]
        if sequence != self._next:
            self._find(sequence, "gap", f"sequence {self._next}", f"sequence {sequence}")
        if previous != self._previous:
            self._find(sequence, "link", self._previous.hex(), previous.hex())
        computed = sha256(self._prefix + previous + b"".join(map(netstring, body))).digest()
        if computed != stored:
            self._find(sequence, "hash", computed.hex(), stored.hex())
        if at_us < self._at_us:
            self._find(sequence, "time", f"not before {self._at_us}", str(at_us))
        # The stored hash goes on: one edited row is one finding, not one for every later row.
        self._previous, self._at_us, self._next = stored, at_us, sequence + 1
        self._first, self._last = self._first or sequence, sequence
        self._count += 1

    def compare_with_head(self, head: tuple[int, bytes]) -> None:
        expected = f"{head[0]} {head[1].hex()}"
        found = f"{self._last} {self._previous.hex()}"
        if expected != found:
            self._find(self._last or None, "head", expected, found)

    def add(self, findings: Iterable[AuditFinding]) -> None:
        for finding in findings:
            self._keep(finding)

    def _find(self, sequence: int | None, kind: str, expected: str, found: str) -> None:
        self._keep(AuditFinding(sequence, kind, expected, found))

    def _keep(self, finding: AuditFinding) -> None:
        self._total += 1
        if len(self._kept) < FINDINGS_KEPT:
            self._kept.append(finding)

    def report(self, *, seconds: float) -> AuditReport:
        return AuditReport(
            entries=self._count,
            first=self._first,
            last=self._last,
            head_hash=self._previous.hex() if self._count else "",
            seconds=seconds,
            findings_total=self._total,
            findings=tuple(self._kept),
        )


def verify_until(*, at: datetime) -> AuditReport:
    """
    Verify the entries written before an instant, from the first one on.

    :param at: aware; entries of this instant and later are left out.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(sequence) FROM audit_auditentry WHERE at_us < %s", [microseconds(at)])
        (last,) = cursor.fetchone()
    return verify_trail(to_sequence=last or 0, with_business=False)
