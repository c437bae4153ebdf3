"""The audit trail in the admin: to read and search, for nobody to change."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from audit.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(admin.ModelAdmin):
    list_display = ["sequence", "written", "action", "subject_id", "actor"]
    search_fields = ["subject_id", "action", "actor"]
    fields = (
        "sequence",
        "written",
        "actor",
        "action",
        "subject_type",
        "subject_id",
        "payload",
        "previous",
        "own",
    )
    readonly_fields = ("written", "previous", "own")
    show_full_result_count = False

    @admin.display(description=_("written"), ordering="at_us")
    def written(self, entry: AuditEntry) -> str:
        return date_format(timezone.localtime(entry.at), "DATETIME_FORMAT")

    @admin.display(description=_("previous hash"))
    def previous(self, entry: AuditEntry) -> str:
        return bytes(entry.previous_hash).hex()

    @admin.display(description=_("entry hash"))
    def own(self, entry: AuditEntry) -> str:
        return bytes(entry.entry_hash).hex()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
