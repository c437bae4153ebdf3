"""Owners, vehicles, the tax and its reminders."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CoreConfig(AppConfig):
    name = "core"
    verbose_name = _("Vehicles and tax")

    def ready(self) -> None:
        from core.mails import ReminderMails
        from outbox.registry import register

        register("reminder", ReminderMails)
