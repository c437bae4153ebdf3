"""Verify every entry of the audit trail (docs/domain.md §6)."""

from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser

from audit.verification import AuditReport
from operations.audit_services import audit_trail_verify
from operations.commands import OperationCommand


class Command(OperationCommand):
    help = "Verify every entry of the audit trail and compare it with the business records."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--alert-on-tampering",
            action="store_true",
            help="mail the operators on a finding, also when run by hand (inside Airflow its callback does)",
        )
        parser.add_argument("--from", dest="from_sequence", type=int, default=1, help="first sequence")
        parser.add_argument("--to", dest="to_sequence", type=int, default=None, help="last sequence")

    def operate(self, *, as_of: datetime, dry_run: bool, **options: Any) -> AuditReport:
        return audit_trail_verify(
            from_sequence=options["from_sequence"],
            to_sequence=options["to_sequence"],
            alert=options["alert_on_tampering"] and not dry_run,
        )
