"""
Sending what waits, each mail once.

One sender at a time in the whole system, by a Postgres advisory lock that ends with the sender's session.
So whoever holds it knows that a row found *claimed* belongs to a sender that died, and sends it again with
the same Message-ID. That is the one permitted duplicate: killed between the relay's 250 and our record.
"""

import logging
import smtplib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from config.failpoints import failpoint
from outbox import relay
from outbox.models import Mail
from outbox.registry import Rendered, Withdrawn, renderer_of
from outbox.selectors import mails_left, next_batch, others_per_hour

logger = logging.getLogger(__name__)

BATCH = 50
BACKOFF = timedelta(minutes=5)
LONGEST_BACKOFF = timedelta(hours=4)


@dataclass(frozen=True)
class SendReport:
    """
    What became of the mails.

    :ivar deferred: the relay asked to come back later (4xx).
    :ivar left: still to go out, now or later.
    :ivar hours_needed: to send what is left at the relay's hourly limit.
    :ivar busy: another process was sending; it sends ours too.
    """

    sent: int = 0
    refused: int = 0
    withdrawn: int = 0
    deferred: int = 0
    left: int = 0
    hours_needed: int = 0
    busy: bool = False


class RelayUnavailable(ConnectionError):
    """The mail relay can't be reached or hung up; what was not sent waits. ``report`` says what was."""

    def __init__(self, reason: str, report: SendReport) -> None:
        super().__init__(f"The mail relay is not available: {reason}")
        self.report = report


def send_due(*, categories: Collection[str] | None = None, dry_run: bool = False) -> SendReport:
    """
    Send what waits, within the hour's budget, the most urgent first.

    Every step commits by itself, so call it outside a transaction; a dry run only counts.

    :param categories: only these; all by default.
    :raises RelayUnavailable: the relay is away; nothing is lost.
    """
    tally = _Tally(categories)
    if dry_run:
        return tally.report()
    with _sending_lock() as taken:
        if not taken:
            return tally.report(busy=True)
        try:
            while batch := next_batch(at=timezone.now(), size=BATCH, categories=categories):
                _claim(batch)
                failpoint("outbox.claimed")
                _send_batch(batch, tally)
        finally:
            relay.close()
    return tally.report()


@contextmanager
def _sending_lock() -> Iterator[bool]:
    if connection.in_atomic_block:
        raise transaction.TransactionManagementError("send mails outside a transaction: each step commits")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended('outbox:sending', 0))")
        (taken,) = cursor.fetchone()
    try:
        yield taken
    finally:
        if taken and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtextextended('outbox:sending', 0))")


def _claim(batch: Sequence[Mail]) -> None:
    Mail.objects.filter(pk__in=[mail.pk for mail in batch]).update(
        state=Mail.State.CLAIMED, claimed_at=timezone.now(), attempts=F("attempts") + 1
    )


def _send_batch(batch: Sequence[Mail], tally: "_Tally") -> None:
    """Write all mails of the batch with one look at the state, then send them one by one."""
    written = _written(batch)
    for index, mail in enumerate(batch):
        mail.attempts += 1
        content = written[mail.pk]
        if isinstance(content, Withdrawn):
            _record(mail, Mail.State.WITHDRAWN, error=content.reason)
            tally.withdrawn += 1
            continue
        try:
            _deliver(mail, content, tally)
        except (OSError, smtplib.SMTPException) as error:
            _release(batch[index:])
            raise RelayUnavailable(f"{type(error).__name__}: {error}", tally.report()) from error


def _written(batch: Sequence[Mail]) -> dict[int, Rendered | Withdrawn]:
    written: dict[int, Rendered | Withdrawn] = {}
    for kind, mails in groupby(sorted(batch, key=lambda mail: mail.kind), key=lambda mail: mail.kind):
        written.update(renderer_of(kind).render(list(mails)))
    return written


def _deliver(mail: Mail, content: Rendered, tally: "_Tally") -> None:
    try:
        relay.deliver(mail, content)
    except relay.Refused as refusal:
        _record(mail, Mail.State.REFUSED, error=str(refusal))
        tally.refused += 1
    except relay.Deferred as deferral:
        _defer(mail, str(deferral))
        tally.deferred += 1
    else:
        failpoint("outbox.delivered")
        _record(mail, Mail.State.SENT)
        tally.sent += 1
        failpoint("outbox.recorded")


def _record(mail: Mail, state: Mail.State, *, error: str = "") -> None:
    """Settle a mail and whatever it stood for, in one transaction."""
    mail.state, mail.error = state, error[:500]
    mail.sent_at = timezone.now() if state == Mail.State.SENT else None
    with transaction.atomic():
        mail.save(update_fields=["state", "error", "sent_at"])
        renderer_of(mail.kind).settled(mail)


def _defer(mail: Mail, reason: str) -> None:
    wait = min(BACKOFF * 2 ** (mail.attempts - 1), LONGEST_BACKOFF)
    Mail.objects.filter(pk=mail.pk).update(
        state=Mail.State.PLANNED, not_before=timezone.now() + wait, error=reason[:500]
    )


def _release(mails: Sequence[Mail]) -> None:
    # Not handed over for certain: the first may have been, and keeps its Message-ID for that case.
    Mail.objects.filter(pk__in=[mail.pk for mail in mails], state=Mail.State.CLAIMED).update(
        state=Mail.State.PLANNED
    )


class _Tally:
    """Counts on the way, so that also an interrupted run can say what it did."""

    def __init__(self, categories: Collection[str] | None) -> None:
        self.sent = self.refused = self.withdrawn = self.deferred = 0
        self._categories = categories

    def report(self, *, busy: bool = False) -> SendReport:
        left = mails_left(categories=self._categories)
        return SendReport(
            sent=self.sent,
            refused=self.refused,
            withdrawn=self.withdrawn,
            deferred=self.deferred,
            left=left,
            hours_needed=-(-left // others_per_hour()),
            busy=busy,
        )
