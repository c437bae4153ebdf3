"""Owners and vehicles are kept in the admin; payments and reminders are records to read."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.calendar import local_day
from core.models import Owner, Reminder, TaxPayment, Vehicle
from core.selectors import owners_without_address
from operations.admin import ReadOnlyAdmin


class ReachFilter(admin.SimpleListFilter):
    """Finds the owners that no reminder reaches, for the office to telephone."""

    title = _("reach")
    parameter_name = "reach"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("missed", _("reminder missed for lack of an address")), ("none", _("no address"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Owner]) -> QuerySet[Owner]:
        if self.value() == "missed":
            return queryset.filter(pk__in=owners_without_address(day=local_day(timezone.now())))
        return queryset.filter(email="") if self.value() == "none" else queryset


@admin.register(Owner)
class OwnerAdmin(admin.ModelAdmin):
    list_display = ["name", "email", "phone", "language"]
    list_filter = ["language", ReachFilter]
    search_fields = ["name", "email", "phone"]
    show_full_result_count = False


@admin.register(Vehicle)
class VehicleAdmin(admin.ModelAdmin):
    list_display = [
        "plate",
        "owner",
        "kind",
        "category",
        "energy",
        "power_cv",
        "first_circulation_on",
        "active",
    ]
    list_filter = ["active", "kind", "category", "energy"]
    list_select_related = ["owner"]
    search_fields = ["plate", "owner__name"]
    autocomplete_fields = ["owner"]
    show_full_result_count = False


@admin.register(TaxPayment)
class TaxPaymentAdmin(ReadOnlyAdmin):
    list_display = ["plate", "fiscal_year", "amount", "method", "status", "paid_at"]
    list_filter = ["status", "method", "fiscal_year"]
    search_fields = ["plate"]
    show_full_result_count = False


@admin.register(Reminder)
class ReminderAdmin(ReadOnlyAdmin):
    list_display = ["vehicle", "fiscal_year", "stage", "stage_on", "due_on", "state", "reason", "settled_at"]
    list_filter = ["state", "stage", "fiscal_year"]
    list_select_related = ["vehicle"]
    search_fields = ["vehicle__plate", "mail_key"]
    show_full_result_count = False
