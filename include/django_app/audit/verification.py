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
from django.db.backends.utils import CursorWrapper

from audit.completeness import AuditFinding, run_checks
from audit.record import FIELDS, GENESIS, is_canonical, microseconds, netstring, prefix
from config.failpoints import failpoint

Row = tuple[Any, ...]

FETCH_ROWS = 2_000
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
    Verify the entries of a range, by default the whole trail; the head is compared whatever the range.

    A range that doesn't begin at 1 starts from the entry before it, never from an empty hash.

    :param with_business: also compare with the business records (needs the whole trail).
    :raises django.db.OperationalError: could not verify, which is never "sound".
    """
    started = time.monotonic()
    walk = _Walk(settings.AUDIT_ORIGIN)
    # Inside a caller's transaction (a dry run, a report) every statement sees a snapshot of its own.
    outermost = not connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if outermost:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        whole = from_sequence == 1 and to_sequence is None
        if from_sequence > 1:
            walk.start_from(_entry_before(cursor, from_sequence), from_sequence)
        for row in _rows(from_sequence, to_sequence):
            walk.step(row)
        walk.add(_head_findings(cursor, rows_hold=walk.sound))
        if whole and with_business:
            walk.add(run_checks(cursor))
    return walk.report(seconds=round(time.monotonic() - started, 3))


def _rows(first: int, last: int | None) -> Iterator[Row]:
    """Stream the rows by a server-side cursor, memory flat whatever the length."""
    columns = ", ".join((*FIELDS, "previous_hash", "entry_hash"))
    limits = []
    if first > 1:  # Where all is asked for, rows below 1 (a forger's) are seen as well.
        limits.append(f"sequence >= {int(first)}")
    if last is not None:
        limits.append(f"sequence <= {int(last)}")
    where = f"WHERE {' AND '.join(limits)}" if limits else ""
    with connection.chunked_cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM audit_auditentry {where} ORDER BY sequence")  # noqa: S608
        while rows := cursor.fetchmany(FETCH_ROWS):
            failpoint("audit.verify.rows")
            yield from rows


def _entry_before(cursor: CursorWrapper, sequence: int) -> tuple[bytes, int] | None:
    cursor.execute("SELECT entry_hash, at_us FROM audit_auditentry WHERE sequence = %s", [sequence - 1])
    row = cursor.fetchone()
    return (bytes(row[0]), row[1]) if row else None


# One statement, so that the head and the last entry come from one snapshot, whoever's transaction this is.
_HEAD_AND_LAST = """
    SELECT head.sequence, head.at_us, head.entry_hash, last.sequence, last.at_us, last.entry_hash
    FROM (VALUES (1)) one (id)
    LEFT JOIN audit_audithead head ON head.id = one.id
    LEFT JOIN (SELECT sequence, at_us, entry_hash FROM audit_auditentry
               ORDER BY sequence DESC LIMIT 1) last ON true
"""


def _head_findings(cursor: CursorWrapper, *, rows_hold: bool) -> Iterator[AuditFinding]:
    """
    Compare the head, which every append moves, with the last entry there is.

    :param rows_hold: nothing was found in the rows; else the last one's time may be what was changed there.
    """
    cursor.execute(_HEAD_AND_LAST)
    row = cursor.fetchone()
    head, last = _position(row[:3], empty="no head"), _position(row[3:], empty=f"0 {GENESIS.hex()}")
    if head != last:
        yield AuditFinding(row[3], "head", f"the head's {head}", f"the last entry's {last}")
    elif rows_hold and row[1] != (row[4] or 0):
        yield AuditFinding(row[3], "head", f"the head's time {row[1]}", f"the last entry's {row[4] or 0}")


def _position(values: Row, *, empty: str) -> str:
    sequence, _, entry_hash = values
    return empty if sequence is None else f"{sequence} {bytes(entry_hash).hex()}"


class _Walk:
    """Goes from row to row and keeps what the next one must agree with."""

    def __init__(self, origin: str) -> None:
        self._prefix = prefix(origin)
        self._previous, self._at_us, self._next = GENESIS, 0, 1
        self._first = self._last = self._count = self._total = 0
        self._computed = b""
        self._kept: list[AuditFinding] = []

    def start_from(self, before: tuple[bytes, int] | None, sequence: int) -> None:
        self._next = sequence
        if before is None:
            self._find(sequence - 1, "gap", f"entry {sequence - 1}, before the range", "no such entry")
        else:
            self._previous, self._at_us = before

    def step(self, row: Row) -> None:
        """Check one row in full: every column, and its place after the row before."""
        *body, previous, stored = row
        sequence, at_us, payload = body[0], body[1], body[-1]
        computed = sha256(self._prefix + previous + b"".join(map(netstring, body))).digest()
        if computed != stored:
            self._find(sequence, "hash", computed.hex(), stored.hex())
        if not is_canonical(payload):
            self._find(sequence, "payload", "canonical JSON", repr(payload[:60]))
        if sequence != self._next:
            self._find_order(sequence)
        if previous != self._previous:
            self._find(sequence, "link", self._previous.hex(), previous.hex())
        if at_us < self._at_us:
            self._find(sequence, "time", f"not before {self._at_us}", str(at_us))
        # The stored hash goes on: one edited row is one finding, not one for every later row.
        self._previous, self._at_us, self._next, self._computed = stored, at_us, sequence + 1, computed
        self._first, self._last = self._first or sequence, sequence
        self._count += 1

    def _find_order(self, sequence: int) -> None:
        if sequence > self._next:
            missing = f"{self._next}" if sequence == self._next + 1 else f"{self._next} to {sequence - 1}"
            self._find(self._next, "gap", f"sequence {missing}", f"{sequence} is next")
        else:
            self._find(sequence, "repeated", f"sequence {self._next}", f"sequence {sequence}")

    @property
    def sound(self) -> bool:
        """Nothing was found so far."""
        return self._total == 0

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
            head_hash=self._computed.hex(),
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


def length() -> int:
    """Return how many entries there should be: the head's sequence, or the last entry's if it is higher."""
    with connection.cursor() as cursor:
        cursor.execute(_HEAD_AND_LAST)
        row = cursor.fetchone()
    return max(row[0] or 0, row[3] or 0)
