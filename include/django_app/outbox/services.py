"""Putting mails into the outbox: once per key, in the caller's transaction."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection
from django.utils import timezone

from outbox.models import Mail

SUBJECT_LENGTH = 250


class AddressRefused(ValueError):
    """The address can't be one; nothing was stored."""


def new_message_id() -> str:
    """Make a Message-ID; it is stored before the first attempt and never changes."""
    return f"<{secrets.token_hex(16)}@{settings.AUDIT_ORIGIN}>"


def one_line(text: str) -> str:
    """Make a header's text one line, so that a name with line breaks can't add headers."""
    return " ".join(text.split())[:SUBJECT_LENGTH]


def queue_mail(
    *,
    key: str,
    recipient: str,
    subject: str,
    text: str,
    html: str,
    category: str,
    due_on: date | None = None,
) -> bool:
    """
    Store one mail with its text, in the caller's transaction; safe to repeat.

    :returns: whether it is new; a mail of this key that exists stays as it is.
    :raises AddressRefused: the recipient is not an address.
    """
    try:
        validate_email(recipient)
    except ValidationError:
        raise AddressRefused(f"recipient: {recipient!r} is not a mail address") from None
    now = timezone.now()
    mail = Mail(
        key=key,
        recipient=recipient,
        subject=one_line(subject),
        text=text,
        html=html,
        category=category,
        due_on=due_on,
        message_id=new_message_id(),
        not_before=now,
        created_at=now,
    )
    return queue_mails([mail]) == 1


def queue_mails(mails: Sequence[Mail]) -> int:
    """Store many mails; those whose key exists are left as they are. Returns how many are new."""
    keys = {mail.key for mail in mails}
    before = set(Mail.objects.filter(key__in=keys).values_list("key", flat=True))
    new = [mail for mail in mails if mail.key not in before]
    Mail.objects.bulk_create(new, batch_size=2_000, ignore_conflicts=True)
    return len(new)


# Read with the columns key, recipient, reference and due_on; Postgres makes the Message-IDs.
_QUEUE_SELECTED = """
    INSERT INTO outbox_mail (key, kind, category, recipient, reference, due_on, message_id,
                             subject, text, html, state, attempts, error, not_before, created_at)
    SELECT picked.key, %(kind)s, %(category)s, picked.recipient, picked.reference, picked.due_on,
           '<' || replace(gen_random_uuid()::text, '-', '') || '@' || %(origin)s || '>',
           '', '', '', 'planned', 0, '', %(now)s, %(now)s
      FROM ({selected}) picked
     ORDER BY picked.due_on, picked.key
    ON CONFLICT (key) DO NOTHING
"""


def queue_selected(*, kind: str, category: str, selected: str, parameters: Mapping[str, Any]) -> int:
    """
    Store one mail for each row of a query, in one statement; its text is made when it is sent.

    :param selected: SQL that selects ``key``, ``recipient``, ``reference`` and ``due_on``.
    :param parameters: the query's own, by name.
    :returns: how many are new.
    """
    own: dict[str, Any] = {
        "kind": kind,
        "category": category,
        "origin": settings.AUDIT_ORIGIN,
        "now": timezone.now(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_QUEUE_SELECTED.format(selected=selected), {**parameters, **own})
        return int(cursor.rowcount)


def hold_planned(*, kind: str) -> None:
    """Keep the sender off this kind's planned mails until the caller's transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT 1 FROM outbox_mail WHERE kind = %s AND state = 'planned' "
            "ORDER BY id FOR UPDATE) held",
            [kind],
        )
