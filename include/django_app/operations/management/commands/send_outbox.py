"""Send the mails that wait (docs/domain.md §2)."""

from datetime import datetime
from typing import Any

from operations.commands import OperationCommand
from operations.outbox_services import outbox_send
from outbox.reports import SendReport


class Command(OperationCommand):
    help = "Send the mails that are waiting, within the relay's hourly budget."

    def operate(self, *, as_of: datetime, dry_run: bool, **_: Any) -> SendReport:
        return outbox_send(dry_run=dry_run)
