"""One reused connection to the mail relay, and what its answers mean."""

import smtplib
from email.utils import formatdate
from typing import NoReturn, cast

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.smtp import EmailBackend
from django.core.mail.message import sanitize_address

from outbox.models import Mail
from outbox.registry import Rendered
from outbox.services import one_line


class Refused(Exception):
    """The relay will never take this mail (5xx)."""


class Deferred(Exception):
    """The relay may take this mail later (4xx)."""


class HungUp(ConnectionError):
    """The connection ended in the middle of this mail; a new one may do better."""


class Away(ConnectionError):
    """The relay can't be reached, or takes nothing from us at all."""


_backend: EmailBackend | None = None


def deliver(mail: Mail, content: Rendered) -> None:
    """
    Hand one mail to the relay.

    :raises Refused: this mail is refused for good.
    :raises Deferred: this mail must wait.
    :raises HungUp: unknown what became of it; it keeps its Message-ID.
    :raises Away: nothing can be sent now.
    """
    try:
        recipient = _envelope_address(mail.recipient)
        message = _bytes(mail, content)
    except ValueError as error:
        # An address from an import that no header can hold: line breaks, letters outside ASCII.
        raise Refused(f"not a mail address: {error}") from error
    smtp = _connected()
    try:
        smtp.sendmail(settings.DEFAULT_FROM_EMAIL, [recipient], message)
    except smtplib.SMTPRecipientsRefused as error:
        ((code, reason),) = error.recipients.values()
        _judge(code, reason)
    except smtplib.SMTPSenderRefused as error:
        # It speaks of our own address, and would say the same of every mail.
        raise Away(f"{error.smtp_code} {_text(error.smtp_error)}") from error
    except smtplib.SMTPResponseException as error:
        _judge(error.smtp_code, error.smtp_error)
    except OSError as error:  # smtplib's own errors are OSErrors
        raise HungUp(f"{type(error).__name__}: {error}") from error


def _envelope_address(address: str) -> str:
    """Write an address as SMTP takes it: domains of any script, ASCII before the ``@``."""
    if not address.rpartition("@")[0].isascii():
        raise ValueError("letters outside ASCII before the @")
    return sanitize_address(address, "ascii")


def _judge(code: int, reason: bytes | str) -> NoReturn:
    answer = f"{code} {_text(reason)}"
    if code == 421:  # The relay is closing the connection: it speaks of itself, not of this mail.
        raise HungUp(answer)
    raise (Refused if code >= 500 else Deferred)(answer)


def _text(reason: bytes | str) -> str:
    return reason.decode(errors="replace") if isinstance(reason, bytes) else reason


def close() -> None:
    """Forget the connection; the next mail opens a new one."""
    global _backend
    if _backend is not None and _backend.connection is not None:
        _backend.connection.close()
    _backend = None


def _connected() -> smtplib.SMTP:
    """Return the open connection, or open one."""
    global _backend
    if _backend is None:
        backend = EmailBackend()
        try:
            backend.open()
        except OSError as error:
            raise Away(f"{type(error).__name__}: {error}") from error
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
