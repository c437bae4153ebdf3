"""Close cash sessions that were left open for more than 12 hours (docs/domain.md §3)."""

from datetime import datetime
from typing import Any

from operations.commands import OperationCommand
from payments.services.closing import ClosingReport, sessions_close_expired


class Command(OperationCommand):
    help = "Close cash sessions that were left open for more than 12 hours."

    # Hourly: two hours may be worked on at once, the rows' locks keep them apart.
    period_format = "%Y-%m-%dT%H"

    def operate(self, *, as_of: datetime, dry_run: bool, **_: Any) -> ClosingReport:
        return sessions_close_expired(as_of=as_of, dry_run=dry_run)
