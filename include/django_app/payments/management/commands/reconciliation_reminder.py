"""Remind agents and supervisors of sessions that nobody has reconciled (docs/domain.md §5)."""

from datetime import datetime
from typing import Any

from operations.commands import OperationCommand
from payments.services.reconciling import ReconciliationReport, reconciliation_remind


class Command(OperationCommand):
    help = "Remind agents and supervisors of closed sessions that nobody has reconciled."

    def operate(self, *, as_of: datetime, dry_run: bool, **_: Any) -> ReconciliationReport:
        return reconciliation_remind(as_of=as_of, dry_run=dry_run)
