"""
Sending what waits, each mail once.

One sender at a time in the whole system, by a Postgres advisory lock that ends with the sender's session.
So whoever holds it knows that a row found *claimed* belongs to a sender that died, and sends it again with
the same Message-ID. That is the one permitted duplicate: killed between the relay's 250 and our record.
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import groupby

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from django.utils import timezone

from config.failpoints import failpoint
from outbox import relay
from outbox.models import Mail
from outbox.registry import Rendered, Withdrawn, renderer_of
from outbox.reports import RelayUnavailable, SendReport, Tally
from outbox.selectors import next_batch

__all__ = ["RelayUnavailable", "SendReport", "send_due"]

logger = logging.getLogger(__name__)

BATCH = 50
BACKOFF = timedelta(minutes=5)
LONGEST_BACKOFF = timedelta(hours=4)

Written = Rendered | Withdrawn | Exception


def send_due(*, categories: Collection[str] | None = None, dry_run: bool = False) -> SendReport:
    """
    Send what waits, within the hour's budget, the most urgent first.

    Every step commits by itself, so call it outside a transaction; a dry run only counts.

    :param categories: only these; all by default.
    :raises RelayUnavailable: the relay is away; nothing is lost.
    """
    tally = Tally(categories)
    if dry_run:
        return tally.report()
    with _sending_lock() as taken:
        if not taken:
            return tally.report(busy=True)
        try:
            while batch := _claim_next(categories):
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


@transaction.atomic
def _claim_next(categories: Collection[str] | None) -> list[Mail]:
    """Claim the next batch, committed before any of it is handed over."""
    now = timezone.now()
    batch = next_batch(at=now, size=BATCH, categories=categories)
    for mail in batch:
        mail.attempts, mail.claimed_at = mail.attempts + 1, now
    Mail.objects.filter(pk__in=[mail.pk for mail in batch]).update(
        state=Mail.State.CLAIMED, claimed_at=now, attempts=F("attempts") + 1
    )
    return batch


def _send_batch(batch: Sequence[Mail], tally: Tally) -> None:
    """Write all mails of the batch with one look at the state, then send them one by one."""
    written = _written(batch)
    for index, mail in enumerate(batch):
        content = written[mail.pk]
        if isinstance(content, Rendered):
            try:
                _deliver(mail, content, tally)
            except relay.Away as error:
                _release(batch[index:])
                raise RelayUnavailable(str(error), tally.report()) from error
            except relay.HungUp as error:
                if _hung_up(mail, error, tally):
                    _release(batch[index + 1 :])
                    raise RelayUnavailable(str(error), tally.report()) from error
        elif isinstance(content, Withdrawn):
            # Never handed over, so the hour's budget has it back.
            mail.claimed_at = None
            _record(mail, Mail.State.WITHDRAWN, error=content.reason)
            tally.withdrawn += 1
        else:
            _defer(mail, f"could not be written: {type(content).__name__}: {content}")
            tally.cannot_write(mail, content)


def _written(batch: Sequence[Mail]) -> dict[int, Written]:
    written: dict[int, Written] = {}
    for kind, mails in groupby(sorted(batch, key=lambda mail: mail.kind), key=lambda mail: mail.kind):
        written.update(_written_by(kind, list(mails)))
    return written


def _written_by(kind: str, mails: Sequence[Mail]) -> dict[int, Written]:
    """Write mails of one kind; when that fails, one by one, so that only the poisonous one is left out."""
    try:
        return dict(renderer_of(kind).render(mails))
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001  (whatever it is, it must not stop the other mails)
        if len(mails) == 1:
            return {mails[0].pk: error}
        logger.warning("%s mails of kind %s could not be written together.", len(mails), kind)
        return {pk: content for mail in mails for pk, content in _written_by(kind, [mail]).items()}


def _deliver(mail: Mail, content: Rendered, tally: Tally) -> None:
    mail.recipient = content.recipient or mail.recipient
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
    tally.hang_ups = 0


def _hung_up(mail: Mail, error: relay.HungUp, tally: Tally) -> bool:
    """
    Let this mail wait, so that it can't block the others for ever; say whether to give up.

    Once may be a relay that takes only so many mails on one connection; twice in a row, it is going down.
    """
    _defer(mail, str(error))
    relay.close()
    tally.deferred += 1
    tally.hang_ups += 1
    return tally.hang_ups > 1


def _record(mail: Mail, state: Mail.State, *, error: str = "") -> None:
    """Settle a mail and whatever it stood for, in one transaction."""
    mail.state, mail.error = state, error[:500]
    mail.sent_at = timezone.now() if state == Mail.State.SENT else None
    with transaction.atomic():
        mail.save(update_fields=["state", "error", "sent_at", "claimed_at", "recipient"])
        failpoint("outbox.recording")
        renderer_of(mail.kind).settled(mail)


def _defer(mail: Mail, reason: str) -> None:
    wait = min(BACKOFF * 2 ** min(mail.attempts - 1, 10), LONGEST_BACKOFF)
    Mail.objects.filter(pk=mail.pk).update(
        state=Mail.State.PLANNED, not_before=timezone.now() + wait, error=reason[:500]
    )


def _release(mails: Sequence[Mail]) -> None:
    """Give back what was not handed over, and its share of the budget."""
    Mail.objects.filter(pk__in=[mail.pk for mail in mails], state=Mail.State.CLAIMED).update(
        state=Mail.State.PLANNED, claimed_at=None, attempts=F("attempts") - 1
    )
