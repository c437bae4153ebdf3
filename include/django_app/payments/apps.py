"""Agents who take cash: sessions, transactions, commissions, reconciliation."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PaymentsConfig(AppConfig):
    name = "payments"
    verbose_name = _("Cash payments")

    def ready(self) -> None:
        from audit.completeness import register
        from payments.completeness import check_cash

        register("payments", check_cash)
