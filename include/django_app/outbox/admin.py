"""The outbox in the admin, to read."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from outbox.models import Mail


@admin.register(Mail)
class MailAdmin(admin.ModelAdmin):
    list_display = ["key", "category", "recipient", "state", "attempts", "created_at", "sent_at"]
    list_filter = ["state", "category"]
    search_fields = ["key", "recipient", "message_id"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
