"""
What must have an entry, and what an entry must tell of.

Apps that own business rows register a check in ``AppConfig.ready``. The check gets a cursor inside the
verification's snapshot and yields findings for rows without their entry and entries without their row.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from django.db.backends.utils import CursorWrapper


@dataclass(frozen=True)
class AuditFinding:
    """
    One thing that is wrong.

    :ivar sequence: the entry concerned, or ``None`` where it is the entry that is missing.
    :ivar kind: such as ``hash``, ``gap``, ``link``, ``head``, ``entry-missing``, ``row-missing``.
    """

    sequence: int | None
    kind: str
    expected: str
    found: str

    def __str__(self) -> str:
        where = f"entry {self.sequence}" if self.sequence is not None else "no entry"
        return f"{where}: {self.kind}: expected {self.expected}, found {self.found}"


Check = Callable[[CursorWrapper], Iterable[AuditFinding]]

_checks: dict[str, Check] = {}


def register(name: str, check: Check) -> None:
    """Register a check under its app's name; registering again replaces it."""
    _checks[name] = check


def run_checks(cursor: CursorWrapper) -> Iterator[AuditFinding]:
    """Run every registered check in the cursor's snapshot."""
    for name in sorted(_checks):
        yield from _checks[name](cursor)


def compare_with_rows(
    cursor: CursorWrapper, *, rows: str, subject_type: str, action: str
) -> Iterator[AuditFinding]:
    """
    Compare business rows with entries of one action, both ways, as a set.

    :param rows: a SELECT of ``subject_id, facts``, one row for each entry there must be; ``facts`` is a
        jsonb object of payload keys and their values, as the row has them.
    """
    cursor.execute(
        f"""
        WITH business AS ({rows}),
             entries AS (
                SELECT sequence, subject_id, payload::jsonb AS payload FROM audit_auditentry
                WHERE subject_type = %s AND action = %s)
        SELECT entries.sequence, business.subject_id, entries.subject_id,
               business.facts::text, entries.payload::text
        FROM business FULL JOIN entries ON business.subject_id = entries.subject_id
        WHERE entries.sequence IS NULL OR business.subject_id IS NULL OR NOT entries.payload @> business.facts
        ORDER BY entries.sequence
        LIMIT 1000
        """,  # noqa: S608  (the SELECT is the registering app's constant)
        [subject_type, action],
    )
    for sequence, row_id, entry_id, facts, payload in cursor.fetchall():
        if sequence is None:
            yield AuditFinding(None, "entry-missing", f"{action} of {subject_type}:{row_id}", "no such entry")
        elif row_id is None:
            yield AuditFinding(sequence, "row-missing", f"{subject_type}:{entry_id}", "no such row")
        else:
            yield AuditFinding(sequence, "row-differs", f"{action} {payload}", f"{entry_id} {facts}")
