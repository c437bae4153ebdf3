"""
What must have an entry, and what an entry must tell of.

Apps that own business rows register a check in ``AppConfig.ready``. The check gets a cursor inside the
verification's snapshot and yields findings for rows without their entry and entries without their row.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from django.db import DataError, transaction
from django.db.backends.utils import CursorWrapper


@dataclass(frozen=True)
class AuditFinding:
    """
    One thing that is wrong.

    :ivar sequence: the entry concerned, or ``None`` where it is the entry that is missing.
    :ivar kind: ``hash``, ``payload``, ``gap``, ``repeated``, ``link``, ``time``, ``head``; or against the
        business records ``entry-missing``, ``row-missing``, ``row-differs``, ``unreadable``, …
    """

    sequence: int | None
    kind: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.name}: expected {self.expected}, found {self.found}"

    @property
    def name(self) -> str:
        """Where and what kind, such as ``entry 12: hash``."""
        where = f"entry {self.sequence}" if self.sequence is not None else "no entry"
        return f"{where}: {self.kind}"


Check = Callable[[CursorWrapper], Iterable[AuditFinding]]

_checks: dict[str, Check] = {}


def register(name: str, check: Check) -> None:
    """Register a check under its app's name; registering again replaces it."""
    _checks[name] = check


def run_checks(cursor: CursorWrapper) -> Iterator[AuditFinding]:
    """Run every registered check in the cursor's snapshot."""
    for name in sorted(_checks):
        try:
            with transaction.atomic():
                yield from list(_checks[name](cursor))
        except DataError as error:
            # Only what was put there past the application can't even be read; the rest is still compared.
            yield AuditFinding(None, "unreadable", f"{name}'s records and entries", str(error).strip())


# IS JSON first: a forged payload must be a finding, not the end of the comparison. Each row pairs with
# one entry: a second entry of the same kind has no row.
_COMPARE = """
    WITH business AS ({rows}),
         entries AS (
            SELECT sequence, subject_id,
                   CASE WHEN payload IS JSON OBJECT THEN payload::jsonb ELSE '{{}}' END AS payload,
                   row_number() OVER (PARTITION BY subject_id ORDER BY sequence) AS nth
            FROM audit_auditentry WHERE subject_type = %s AND action = %s)
    SELECT entries.sequence, business.subject_id, entries.subject_id,
           business.facts::text, entries.payload::text
    FROM business FULL JOIN entries ON business.subject_id = entries.subject_id AND entries.nth = 1
    WHERE entries.sequence IS NULL OR business.subject_id IS NULL OR NOT entries.payload @> business.facts
    ORDER BY entries.sequence
    LIMIT 1000
"""


def compare_with_rows(
    cursor: CursorWrapper, *, rows: str, subject_type: str, action: str
) -> Iterator[AuditFinding]:
    """
    Compare business rows with entries of one action, both ways, as a set.

    :param rows: a SELECT of ``subject_id, facts``, one row for each entry there must be and never two for a
        subject; ``facts`` is a jsonb object of payload keys and their values, as the row has them.
    """
    cursor.execute(_COMPARE.format(rows=rows), [subject_type, action])
    for sequence, row_id, entry_id, facts, payload in cursor.fetchall():
        if sequence is None:
            yield AuditFinding(None, "entry-missing", f"{action} of {subject_type}:{row_id}", "no such entry")
        elif row_id is None:
            yield AuditFinding(sequence, "row-missing", f"{subject_type}:{entry_id}", "no such row")
        else:
            yield AuditFinding(sequence, "row-differs", f"{action} {payload}", f"{entry_id} {facts}")
