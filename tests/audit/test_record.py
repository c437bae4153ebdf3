"""The record: which bytes are hashed, and the only form of a payload."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from audit.models import AuditEntry
from audit.record import (
    FIELDS,
    LARGEST_INTEGER,
    PayloadRefused,
    canonical_json,
    entry_hash,
    is_canonical,
    netstring,
    prefix,
)
from tests.audit import forger

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())["entries"]

texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
integers = st.integers(-LARGEST_INTEGER + 1, LARGEST_INTEGER - 1)
keys = st.text(st.characters(max_codepoint=127))
values = st.recursive(
    st.none() | st.booleans() | integers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
payloads = st.dictionaries(keys, values, max_size=5)
columns = st.tuples(*[st.none() | texts | integers] * len(FIELDS))


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["note"] for vector in VECTORS])
def test_the_worked_examples_come_out(vector: dict[str, Any]) -> None:
    body = [vector[name] for name in FIELDS]
    previous = bytes.fromhex(vector["previous_hash"])

    assert canonical_json(vector["payload_given"]) == vector["payload"]
    assert (prefix(vector["origin"]) + previous + b"".join(map(netstring, body))).hex() == vector["preimage"]
    digest = entry_hash(origin=vector["origin"], previous_hash=previous, body=body)
    assert digest.hex() == vector["entry_hash"]


def test_every_column_but_the_hash_itself_is_hashed(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'audit_auditentry' "
            "ORDER BY ordinal_position"
        )
        stored = [name for (name,) in cursor.fetchall()]

    assert stored == [*FIELDS, "previous_hash", "entry_hash"]
    assert [field.column for field in AuditEntry._meta.concrete_fields] == stored


def test_null_is_not_the_empty_text() -> None:
    assert (netstring(None), netstring(""), netstring("é"), netstring(12)) == (
        b"-1:,",
        b"0:,",
        b"2:\xc3\xa9,",
        b"2:12,",
    )


@given(columns, columns)
def test_no_two_records_have_the_same_bytes(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    # A number and its digits are one column's same text; each column has only one type.
    same = [None if value is None else str(value) for value in one] == [
        None if value is None else str(value) for value in other
    ]

    assert (b"".join(map(netstring, one)) == b"".join(map(netstring, other))) is same


@given(columns)
def test_the_columns_can_be_read_back_from_the_bytes(body: tuple[Any, ...]) -> None:
    rest, read = b"".join(map(netstring, body)), []
    while rest:
        length, rest = rest.split(b":", 1)
        size = max(int(length), 0)
        read.append(rest[:size].decode() if length != b"-1" else None)
        assert rest[size : size + 1] == b","
        rest = rest[size + 1 :]

    assert read == [None if value is None else str(value) for value in body]


@given(payloads)
def test_a_payload_has_one_form_whatever_the_order_of_its_keys(payload: dict[str, Any]) -> None:
    text = canonical_json(payload)

    assert canonical_json(dict(reversed(payload.items()))) == text
    assert canonical_json(json.loads(text)) == text
    assert is_canonical(text)
    assert unicodedata.is_normalized("NFC", text)
    assert json.loads(text) == _composed(payload)


@given(payloads, st.sampled_from([{"indent": 1}, {"separators": (", ", ": ")}, {"ensure_ascii": True}]))
def test_another_writing_of_the_same_payload_is_not_canonical(
    payload: dict[str, Any], style: dict[str, Any]
) -> None:
    options = {"sort_keys": True, "ensure_ascii": False, "separators": (",", ":"), **style}
    other = json.dumps(payload, **options)

    assert is_canonical(other) is (other == canonical_json(payload))


def _composed(value: Any) -> Any:
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, list):
        return [_composed(item) for item in value]
    if isinstance(value, dict):
        return {key: _composed(item) for key, item in value.items()}
    return value


@pytest.mark.parametrize(
    "text",
    [
        '{"b":1,"a":1}',
        '{"a":1,"a":1}',
        '{"a": 1}',
        '{"a":1.0}',
        '{"a":1e3}',
        '{"a":-0}',
        '{"a":01}',
        '{"a":NaN}',
        '{"a":9007199254740992}',
        '{"a":-9007199254740992}',
        '{"a":"\\u00e9"}',
        '{"a":"\\u0000"}',
        '{"a":"\\ud800"}',
        '{"a":"\\/"}',
        '{"a":"e\u0301"}',
        '{"é":1}',
        '{"a":1}\n',
        "[1]",
        "1",
        "",
        "{",
        "[" * 100_000,
        '{"a":' + "9" * 5_000 + "}",
    ],
    ids=lambda text: text[:30],
)
def test_what_nobody_could_have_appended_is_not_canonical(text: str) -> None:
    assert not is_canonical(text)


@pytest.mark.parametrize(
    ("payload", "where"),
    [
        ({"a": 1.5}, r"payload\.a: float"),
        ({"a": float("nan")}, r"payload\.a: float"),
        ({"a": LARGEST_INTEGER}, r"payload\.a: 9007199254740992"),
        ({"a": [0, {"b": -LARGEST_INTEGER}]}, r"payload\.a\[1\]\.b: -9007199254740992"),
        ({"é": 1}, "'é' is not ASCII"),
        ({1: 1}, "1 is not ASCII"),
        ({"a": b"x"}, r"payload\.a: bytes"),
        ({"a": {1, 2}}, r"payload\.a: set"),
        ({"a": "\x00"}, "can't be stored"),
        ({"a": "\ud800"}, "can't be stored"),
        ([1], "list is not an object"),
    ],
)
def test_a_payload_without_canonical_form_is_refused_and_the_place_named(payload: Any, where: str) -> None:
    with pytest.raises(PayloadRefused, match=where):
        canonical_json(payload)


def test_the_forger_hashes_like_the_application() -> None:
    vector = VECTORS[2]
    hashes = {name: bytes.fromhex(vector[name]) for name in ("previous_hash", "entry_hash")}
    row = forger.Row(**{name: vector[name] for name in FIELDS}, **hashes)

    assert forger.preimage(row).hex() == vector["preimage"]
    assert forger.rehashed(row).entry_hash == row.entry_hash
