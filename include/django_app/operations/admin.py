"""The ledger in the admin: everything to read, nothing to change."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext as _

from operations.models import OperationRun


class ReadOnlyAdmin(admin.ModelAdmin):
    """Base of the pages that show records nobody may add, change or delete by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(OperationRun)
class OperationRunAdmin(ReadOnlyAdmin):
    list_display = ["operation", "period", "outcome", "requested_by", "started_at", "seconds"]
    list_filter = ["operation", "state", "dry_run"]
    search_fields = ["operation", "period", "dag_run_id", "error"]
    date_hierarchy = "started_at"

    @admin.display(description=_("outcome"), ordering="state")
    def outcome(self, run: OperationRun) -> str:
        dry = f", {_('dry run')}" if run.dry_run else ""
        code = f" ({run.exit_code})" if run.exit_code else ""
        return f"{run.get_state_display()}{code}{dry}"

    @admin.display(description=_("seconds"))
    def seconds(self, run: OperationRun) -> str:
        return f"{(run.finished_at - run.started_at).total_seconds():.1f}" if run.finished_at else ""
