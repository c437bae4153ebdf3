"""One reused connection to the mail relay, and what its answers mean."""

import smtplib
from email.utils import formatdate
from typing import cast

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.smtp import EmailBackend

from outbox.models import Mail
from outbox.registry import Rendered
from outbox.services import one_line


class Refused(Exception):
    """The relay will never take this mail (5xx)."""


class Deferred(Exception):
    """The relay may take this mail later (4xx)."""


_backend: EmailBackend | None = None


def deliver(mail: Mail, content: Rendered) -> None:
    """
    Hand one mail to the relay.

    :raises Refused: this mail is refused for good.
    :raises Deferred: this mail must wait.
    :raises OSError: the relay is away (``smtplib``'s connection errors are OSErrors).
    """
    smtp = _connected()
    try:
        smtp.sendmail(settings.DEFAULT_FROM_EMAIL, [mail.recipient], _bytes(mail, content))
    except smtplib.SMTPRecipientsRefused as error:
        ((code, reason),) = error.recipients.values()
        _judge(code, reason)
    except smtplib.SMTPResponseException as error:
        _judge(error.smtp_code, error.smtp_error)


def _judge(code: int, reason: bytes | str) -> None:
    text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    if code == 421:
        # The relay is closing the connection: it speaks of itself, not of this mail.
        raise smtplib.SMTPServerDisconnected(f"421 {text}")
    raise (Refused if code >= 500 else Deferred)(f"{code} {text}")


def close() -> None:
    """Forget the connection; the next mail opens a new one."""
    global _backend
    if _backend is not None and _backend.connection is not None:
        _backend.connection.close()
    _backend = None


def _connected() -> smtplib.SMTP:
    """Return the open connection, or open one: a relay that hung up has left no socket."""
    global _backend
    if _backend is not None and _backend.connection is not None and _backend.connection.sock is None:
        close()
    if _backend is None:
        backend = EmailBackend()
        backend.open()
        _backend = backend
    return cast("smtplib.SMTP", _backend.connection)


def _bytes(mail: Mail, content: Rendered) -> bytes:
    message = EmailMultiAlternatives(
        subject=one_line(content.subject),
        body=content.text,
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[mail.recipient],
        headers={
            "Message-ID": mail.message_id,
            "Date": formatdate(localtime=False),
            "Auto-Submitted": "auto-generated",
        },
    )
    message.attach_alternative(content.html, "text/html")
    return message.message().as_bytes(linesep="\r\n")  # type: ignore[call-arg]
