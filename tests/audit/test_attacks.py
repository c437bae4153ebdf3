"""
Attacks on the trail by somebody with the table owner's rights, who computes hashes as he likes.

Here are those that the chain and its head show. Rewriting everything to the head is consistent in itself:
the business records tell (test_completeness), and checkpoints outside the database.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection

from audit.record import FIELDS
from audit.verification import verify_trail, verify_until
from tests.audit import forger
from tests.audit.forger import Row, rechained, rehashed

pytestmark = pytest.mark.django_db
LAST = 10


@pytest.fixture
def rows() -> list[Row]:
    """Ten honest entries."""
    for number in range(1, LAST + 1):
        forger.write(1, start=number)
    assert verify_trail().findings == ()
    return forger.stored()


def _found(**options: Any) -> list[tuple[int | None, str]]:
    return [(finding.sequence, finding.kind) for finding in verify_trail(**options).findings]


def _forged(row: Row) -> Row:
    return replace(row, payload='{"n":999}')


FORGED_VALUES = {
    "sequence": 11,
    "at_us": 1,
    "actor": "user:nobody",
    "action": "tests.thing.undone",
    "subject_type": "tests.other",
    "subject_id": "T-999",
    "payload": '{"n":999}',
    "previous_hash": b"x" * 32,
    "entry_hash": b"x" * 32,
}


@pytest.mark.parametrize("column", [*FIELDS, "previous_hash", "entry_hash"])
def test_each_column_edited_is_found(rows: list[Row], column: str) -> None:
    rows[-1] = replace(rows[-1], **{column: FORGED_VALUES[column]})

    forger.replace_table(rows)

    found = _found()
    assert (rows[-1].sequence, "hash") in found
    # The last one's place and hash are also the head's to know.
    expected = {
        "sequence": {"hash", "gap", "head"},
        "at_us": {"hash", "time"},
        "previous_hash": {"hash", "link"},
        "entry_hash": {"hash", "head"},
    }
    assert {kind for _, kind in found} == expected.get(column, {"hash"})


def test_an_edited_payload_names_its_entry_and_what_was_expected(rows: list[Row]) -> None:
    forger.replace_table([_forged(row) if row.sequence == 4 else row for row in rows])

    (finding,) = verify_trail().findings

    assert (finding.sequence, finding.kind) == (4, "hash")
    assert finding.expected == rehashed(_forged(rows[3])).entry_hash.hex()
    assert finding.found == rows[3].entry_hash.hex()
    assert str(finding).startswith("entry 4: hash: expected ")


def test_an_entry_edited_and_hashed_anew_breaks_the_next_ones_link(rows: list[Row]) -> None:
    rows[3] = rehashed(_forged(rows[3]))

    forger.replace_table(rows)

    assert _found() == [(5, "link")]


def test_the_last_entry_edited_and_hashed_anew_is_not_the_heads(rows: list[Row]) -> None:
    rows[-1] = rehashed(_forged(rows[-1]))

    forger.replace_table(rows)

    assert _found() == [(10, "head")]


def test_everything_hashed_anew_to_the_end_is_not_the_heads(rows: list[Row]) -> None:
    rows[3] = _forged(rows[3])

    forger.replace_table(rechained(rows))

    assert _found() == [(10, "head")]


def test_a_head_moved_by_itself_is_found(rows: list[Row]) -> None:
    forger.replace_table(rows, head=replace(rows[-1], at_us=rows[-1].at_us + 1))
    assert _found() == [(10, "head")]

    forger.replace_table(rows, head=rows[-2])
    assert _found() == [(10, "head")]


def test_an_entry_deleted_in_the_middle_is_a_gap(rows: list[Row]) -> None:
    forger.replace_table([row for row in rows if row.sequence != 4])

    assert _found() == [(4, "gap"), (5, "link")]


def test_several_deleted_are_one_gap_that_says_from_where_to_where(rows: list[Row]) -> None:
    forger.replace_table([row for row in rows if row.sequence not in (4, 5, 6)])

    gap = verify_trail().findings[0]

    assert (gap.sequence, gap.kind, gap.expected, gap.found) == (4, "gap", "sequence 4 to 6", "7 is next")


def test_deleted_and_renumbered_without_hashing_anew(rows: list[Row]) -> None:
    kept = [row for row in rows if row.sequence != 4]
    renumbered = [replace(row, sequence=n) for n, row in enumerate(kept, start=1)]

    forger.replace_table(renumbered, head=renumbered[-1])

    assert _found()[:2] == [(4, "hash"), (4, "link")]
    assert [sequence for sequence, kind in _found() if kind == "hash"] == [4, 5, 6, 7, 8, 9]


def test_deleted_renumbered_and_each_row_hashed_anew_without_linking(rows: list[Row]) -> None:
    kept = [row for row in rows if row.sequence != 4]
    renumbered = [rehashed(row, sequence=n) for n, row in enumerate(kept, start=1)]

    forger.replace_table(renumbered, head=renumbered[-1])

    assert {kind for _, kind in _found()} == {"link"}
    assert _found()[0] == (4, "link")


def test_a_forged_entry_inserted_in_the_middle(rows: list[Row]) -> None:
    forged = rehashed(_forged(rows[4]), previous_hash=rows[3].entry_hash)
    later = [replace(row, sequence=row.sequence + 1) for row in rows[4:]]

    forger.replace_table([*rows[:4], forged, *later], head=later[-1])

    assert _found()[0] == (6, "hash")
    assert (6, "link") in _found()


def test_a_forged_entry_in_anothers_place(rows: list[Row]) -> None:
    rows[4] = rehashed(_forged(rows[4]), subject_id="T-999")

    forger.replace_table(rows)

    assert _found() == [(6, "link")]


def test_a_forged_entry_at_the_end_is_not_the_heads(rows: list[Row]) -> None:
    forged = rehashed(_forged(rows[-1]), sequence=11, previous_hash=rows[-1].entry_hash)

    forger.replace_table([*rows, forged])

    assert _found() == [(11, "head")]


def test_a_forged_entry_before_the_first(rows: list[Row]) -> None:
    forger.replace_table([rehashed(_forged(rows[0]), sequence=0), *rows])

    assert _found()[0] == (0, "repeated")


def test_two_rows_swapped_without_hashing_anew(rows: list[Row]) -> None:
    third, fourth = rows[2], rows[3]
    rows[2], rows[3] = replace(fourth, sequence=3), replace(third, sequence=4)

    forger.replace_table(rows)

    assert [kind for sequence, kind in _found() if sequence == 3] == ["hash", "link"]
    assert [kind for sequence, kind in _found() if sequence == 4] == ["hash", "link", "time"]


def test_two_rows_swapped_and_hashed_anew(rows: list[Row]) -> None:
    third, fourth = rows[2], rows[3]
    rows[2] = rehashed(fourth, sequence=3, previous_hash=third.previous_hash)
    rows[3] = rehashed(third, sequence=4, previous_hash=rows[2].entry_hash)

    forger.replace_table(rows)

    assert _found() == [(4, "time"), (5, "link")]


def test_a_row_that_is_there_twice(rows: list[Row]) -> None:
    forger.replace_table([*rows, rows[3]])

    assert _found() == [(4, "repeated"), (4, "link")]


def test_a_row_copied_to_the_end(rows: list[Row]) -> None:
    forger.replace_table([*rows, replace(rows[3], sequence=11)])

    assert _found() == [(11, "hash"), (11, "link"), (11, "time"), (11, "head")]


def test_a_fork_has_two_rows_after_one(rows: list[Row]) -> None:
    fork = rehashed(_forged(rows[5]), subject_id="T-999")

    forger.replace_table([*rows, fork])

    assert (6, "repeated") in _found()
    assert (6, "link") in _found()


def test_the_tail_cut_off_while_the_head_says_more(rows: list[Row]) -> None:
    forger.replace_table(rows[:7])

    (finding,) = verify_trail().findings

    assert (finding.sequence, finding.kind) == (7, "head")
    assert finding.expected.startswith("the head's 10 ")
    assert finding.found.startswith("the last entry's 7 ")


def test_everything_deleted_while_the_head_says_more(rows: list[Row]) -> None:
    forger.replace_table([])

    assert _found() == [(None, "head")]


def test_the_head_deleted(rows: list[Row]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_audithead")

    (finding,) = verify_trail().findings

    assert (finding.sequence, finding.kind, finding.expected) == (10, "head", "the head's no head")


@pytest.mark.parametrize("window", [{"from_sequence": 3}, {"from_sequence": 2, "to_sequence": 5}])
def test_a_cut_tail_is_found_by_every_window(rows: list[Row], window: dict[str, int]) -> None:
    forger.replace_table(rows[:7])

    assert _found(**window) == [(7, "head")]


def test_a_cut_tail_is_found_before_a_report(rows: list[Row]) -> None:
    forger.replace_table(rows[:7])

    report = verify_until(at=datetime(2999, 1, 1, tzinfo=UTC))

    assert [finding.kind for finding in report.findings] == ["head"]


def test_the_entry_before_a_window_deleted(rows: list[Row]) -> None:
    forger.replace_table([row for row in rows if row.sequence != 4])

    assert _found(from_sequence=5)[0] == (4, "gap")


def test_an_append_into_the_past(rows: list[Row]) -> None:
    last = rows[-1]
    past = rehashed(last, sequence=11, previous_hash=last.entry_hash, at_us=last.at_us - 1)

    forger.replace_table([*rows, past], head=past)

    assert _found() == [(11, "time")]


def test_rows_of_another_installation_spliced_in(rows: list[Row]) -> None:
    spliced = rechained(rows, origin="other.taxops.example")

    forger.replace_table(spliced, head=spliced[-1])

    assert _found() == [(sequence, "hash") for sequence in range(1, LAST + 1)]


@pytest.mark.parametrize("payload", ['{"n": 4}', '{"n":4.0}', '{"n":4,"n":4}', "nothing like JSON", "[4]"])
def test_a_payload_nobody_could_have_appended_though_hashed_to_the_head(
    rows: list[Row], payload: str
) -> None:
    rows[3] = replace(rows[3], payload=payload)
    forged = rechained(rows)

    forger.replace_table(forged, head=forged[-1])

    assert _found() == [(4, "payload")]


def test_a_hash_cut_short_is_found(rows: list[Row]) -> None:
    rows[3] = replace(rows[3], entry_hash=rows[3].entry_hash[:16])

    forger.replace_table(rows)

    assert _found() == [(4, "hash"), (5, "link")]


def test_what_is_appended_after_tampering_does_not_hide_it(rows: list[Row]) -> None:
    forger.replace_table([_forged(row) if row.sequence == 4 else row for row in rows])
    forger.write(3)

    assert _found() == [(4, "hash")]


def test_of_very_many_findings_the_first_are_kept_and_all_are_counted() -> None:
    forger.write(150)
    rows = forger.stored()

    forger.replace_table([_forged(row) for row in rows])

    report = verify_trail()
    assert (report.findings_total, len(report.findings)) == (150, 100)
    assert report.findings[0].sequence == 1


def test_honest_entries_are_not_found_whatever_was_appended_how() -> None:
    """The replaced system hashed another "now" than it stored: every honest entry failed."""
    for start in range(1, 60, 7):
        forger.write(start, start=start)

    report = verify_trail()

    assert (report.findings, report.first, report.last) == ((), 1, report.entries)
    assert report.head_hash == forger.stored()[-1].entry_hash.hex()
