"""Remind owners of the tax that is due (docs/domain.md §2)."""

from datetime import datetime
from typing import Any

from core.services import ReminderReport, reminders_send
from operations.commands import OperationCommand


class Command(OperationCommand):
    help = "Plan the payment reminders that are due, and send what the hour's budget allows."

    def operate(self, *, as_of: datetime, dry_run: bool, **_: Any) -> ReminderReport:
        return reminders_send(as_of=as_of, dry_run=dry_run)
