"""
The audit record: which bytes are hashed (docs/domain.md §6).

``entry_hash = SHA-256("taxops.audit.entry.v1\\n" || ns(origin) || previous_hash[32] || body)`` where ``body``
is every other column in :data:`FIELDS`' order, each as a netstring. A netstring says how long it is, so
no two different records have the same bytes; NULL is ``-1:,`` and differs from the empty ``0:,``.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

DOMAIN = b"taxops.audit.entry.v1\n"
GENESIS = bytes(32)
FIELDS = ("sequence", "at_us", "actor", "action", "subject_type", "subject_id", "payload")
LARGEST_INTEGER = 2**53

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PayloadRefused(ValueError):
    """A payload holds something that has no canonical form; the message names where."""


@dataclass(frozen=True)
class NewEntry:
    """
    What a service says happened.

    :ivar actor: ``user:NAME`` or ``system:OPERATION``; a copied value, no reference.
    :ivar action: dotted, such as ``payments.session.closed``.
    :ivar subject_type: dotted, such as ``payments.session``.
    :ivar subject_id: what people call it, such as ``SESS-20260101-000001``.
    :ivar payload: codes, numbers and amounts (ariary); no personal data, no floats.
    """

    actor: str
    action: str
    subject_type: str
    subject_id: str
    payload: dict[str, Any]


def microseconds(at: datetime) -> int:
    """Return an aware instant as whole microseconds since 1970 in UTC, without a float on the way."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def instant(at_us: int) -> datetime:
    """Turn stored microseconds back into an aware instant in UTC."""
    return _EPOCH + timedelta(microseconds=at_us)


def canonical_json(payload: dict[str, Any]) -> str:
    """
    Write a payload in its only form: sorted ASCII keys, NFC strings, no spaces.

    :raises PayloadRefused: a float, an integer of 2**53 or more, a key that isn't ASCII, another type.
    """
    if not isinstance(payload, dict):
        raise PayloadRefused(f"payload: {type(payload).__name__} is not an object")
    return _written(_canonical(payload, "payload"))


def is_canonical(text: str) -> bool:
    """Say whether a stored payload is in the only form that :func:`canonical_json` writes."""
    try:
        value = _DECODER.decode(text)
        if _DOUBTFUL.search(text) or not text.isascii():
            return canonical_json(value) == text
        return isinstance(value, dict) and _written(value) == text
    except (ValueError, RecursionError):
        return False


def _refuse(text: str) -> None:
    raise PayloadRefused(f"payload: {text} has no canonical form")


# Made once: json.dumps and json.loads with arguments make one for each call.
_written = json.JSONEncoder(
    sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False
).encode
_DECODER = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse)
# What may be an integer of 2**53 or more, an escaped control character or a lone surrogate.
_DOUBTFUL = re.compile(r"[0-9]{17}|9[0-9]{15}|\\u")


def _canonical(value: Any, where: str) -> Any:
    if isinstance(value, str):
        return value if value.isascii() and "\x00" not in value else _text(value, where)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) >= LARGEST_INTEGER:
            raise PayloadRefused(f"{where}: {value} has no exact form in JSON readers")
        return value
    if isinstance(value, dict):
        return {_key(key, where): _canonical(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise PayloadRefused(f"{where}: {type(value).__name__} has no canonical form")


def _text(value: str, where: str) -> str:
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise PayloadRefused(f"{where}: a character that can't be stored")
    return unicodedata.normalize("NFC", value)


def _key(key: Any, where: str) -> str:
    if not isinstance(key, str) or not key.isascii():
        raise PayloadRefused(f"{where}: the key {key!r} is not ASCII")
    return key


def netstring(value: str | int | None) -> bytes:
    """Write one column: decimal byte length, colon, bytes, comma."""
    if value is None:
        return b"-1:,"
    data = str(value).encode()
    return b"%d:%s," % (len(data), data)


def prefix(origin: str) -> bytes:
    """Return the bytes before the previous hash; the same for every entry of an installation."""
    return DOMAIN + netstring(origin)


def entry_hash(*, origin: str, previous_hash: bytes, body: Sequence[str | int | None]) -> bytes:
    """
    Hash one entry.

    :param body: the columns of :data:`FIELDS`, in that order.
    """
    return hashlib.sha256(prefix(origin) + previous_hash + b"".join(map(netstring, body))).digest()
