"""Sending the outbox as an operation: a relay that is away is a reason to try again later."""

from operations.outcomes import TryAgainLater
from outbox.sending import RelayUnavailable, SendReport, send_due


def outbox_send(*, dry_run: bool) -> SendReport:
    """
    Send what waits, within the hour's budget.

    :raises TryAgainLater: the relay is away; the report says what was sent before.
    """
    try:
        return send_due(dry_run=dry_run)
    except RelayUnavailable as error:
        raise TryAgainLater(str(error), error.report) from error
