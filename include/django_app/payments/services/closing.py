"""Closing the sessions that nobody closed (docs/domain.md §3), the operation close_expired_sessions."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from audit.services import append_entries
from config.failpoints import failpoint
from operations.outcomes import BadRow
from outbox.models import Mail
from outbox.reports import RelayUnavailable
from outbox.sending import send_due
from outbox.services import queue_mails
from payments import entries
from payments.models import CashSession
from payments.notices import session_closed_notice
from payments.selectors import expected_balances, sessions_expired

logger = logging.getLogger(__name__)

SYSTEM = "system:close_expired_sessions"
BATCH = 500


@dataclass(frozen=True)
class ClosingReport:
    """
    What one run closed.

    :ivar considered: sessions that were open for more than 12 hours.
    :ivar expected_total: sum of the closed sessions' expected balances (ariary).
    :ivar notices: mails to agents put into the outbox; ``without_address`` agents have none.
    """

    considered: int
    closed: int
    expected_total: int
    notices: int
    without_address: int
    bad_rows: tuple[BadRow, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass
class _Tally:
    closed: int = 0
    expected_total: int = 0
    notices: int = 0
    without_address: int = 0


def sessions_close_expired(*, as_of: datetime, dry_run: bool) -> ClosingReport:
    """
    Close every session open for more than 12 hours; safe to repeat.

    A batch is one transaction. A batch that fails is done again session by session, so that one poisonous
    session is left out and named, and the others are closed.
    """
    expired = list(sessions_expired(as_of=as_of).values_list("pk", "number"))
    tally, bad = _Tally(), []
    for batch in _batches(expired):
        try:
            _close([pk for pk, _ in batch], tally)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # noqa: BLE001  (whatever it is, the sessions are tried one by one)
            logger.warning("A batch of %s sessions failed; each is tried by itself.", len(batch))
            bad += [row for pk, number in batch if (row := _close_one(pk, number, tally))]
        failpoint("payments.close.after_batch")
    return ClosingReport(
        considered=len(expired),
        closed=tally.closed,
        expected_total=tally.expected_total,
        notices=tally.notices,
        without_address=tally.without_address,
        bad_rows=tuple(bad),
        warnings=() if dry_run else _send_notices(),
    )


def _batches(rows: Sequence[Any]) -> list[Sequence[Any]]:
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]


def _close_one(pk: int, number: str, tally: _Tally) -> BadRow | None:
    try:
        _close([pk], tally)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001  (it is reported by name, and the others go on)
        return BadRow(f"payments.session:{number}", f"{type(error).__name__}")
    return None


def _close(ids: Sequence[int], tally: _Tally) -> None:
    """Close these sessions in one transaction; those that somebody closed meanwhile are left alone."""
    with transaction.atomic():
        sessions = list(
            CashSession.objects.select_for_update(of=("self",))
            .select_related("agent")
            .filter(pk__in=ids, status=CashSession.Status.OPEN)
            .order_by("pk")
        )
        balances, now = expected_balances(sessions), timezone.now()
        for session in sessions:
            session.status, session.closed_at, session.closed_by = CashSession.Status.CLOSED, now, "system"
            session.expected_balance = balances[session.pk]
        CashSession.objects.bulk_update(sessions, ["status", "closed_at", "closed_by", "expected_balance"])
        append_entries([entries.session_closed(session, actor=SYSTEM) for session in sessions])
        notices = queue_mails([session_closed_notice(each) for each in sessions if each.agent.email])
        failpoint("payments.close.before_commit")
    tally.closed += len(sessions)
    tally.expected_total += sum(balances.values())
    tally.notices += notices
    tally.without_address += sum(not session.agent.email for session in sessions)


def _send_notices() -> tuple[str, ...]:
    # The money is settled; a relay that is away only delays the notices, which send_outbox sends later.
    try:
        send_due(categories=[Mail.Category.NOTICE])
    except RelayUnavailable as error:
        return (f"{error} The notices wait in the outbox.",)
    return ()
