"""The ledger in the admin: everything to read, nothing to change."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

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
    list_display = [
        "operation",
        "period",
        "state",
        "exit_code",
        "dry_run",
        "requested_by",
        "started_at",
        "finished_at",
        "try_number",
    ]
    list_filter = ["operation", "state", "dry_run"]
    search_fields = ["operation", "period", "dag_run_id", "error"]
    date_hierarchy = "started_at"
