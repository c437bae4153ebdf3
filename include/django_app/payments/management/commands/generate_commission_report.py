"""Report the agents' commissions of one calendar month (docs/domain.md §4)."""

from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser

from operations.commands import OperationCommand
from payments.services.commissions import CommissionOutcome, commission_report, month_before


class Command(OperationCommand):
    help = "Report the agents' commissions of one calendar month that is over."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--month", default=None, help="YYYY-MM (default: the local month before --as-of)")

    def period(self, *, as_of: datetime, **options: Any) -> str:
        return str(options["month"] or month_before(as_of))[:7]

    def operate(self, *, as_of: datetime, dry_run: bool, **options: Any) -> CommissionOutcome:
        return commission_report(month=options["month"] or month_before(as_of), as_of=as_of, dry_run=dry_run)
