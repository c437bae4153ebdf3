"""
Cash in the admin: records to read, actions that call the services.

Nobody adds, changes or deletes a record of money here, a superuser neither.
"""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from operations.admin import ReadOnlyAdmin
from payments.actions import ServiceActionsMixin, actor, service_action
from payments.forms import CountForm, NothingForm, OpenForm, PostForm, ReasonForm
from payments.models import Agent, CashSession, CashTransaction, CommissionReport, TransactionDecision
from payments.rules import Refused
from payments.services import sessions, transactions


def _pay(request: HttpRequest, rows: list[CashTransaction], _data: dict[str, Any]) -> None:
    if len({row.agent_id for row in rows}) != 1:
        raise Refused("transactions", gettext_noop("select transactions of one agent"))
    transactions.commission_pay(agent=rows[0].agent, transactions=rows, by=actor(request))


@admin.register(Agent)
class AgentAdmin(ServiceActionsMixin, admin.ModelAdmin):
    list_display = ["code", "name", "place", "commission_rate", "active"]
    list_filter = ["active", "place"]
    search_fields = ["code", "name", "email"]
    autocomplete_fields = ["user"]
    actions = [
        service_action(
            name="open_session",
            label=_("Open a cash session"),
            permission="payments.open_session",
            form=OpenForm,
            run=lambda request, row, data: sessions.session_open(
                agent=row, opening_float=data["opening_float"], by=actor(request)
            ),
        )
    ]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(CashSession)
class CashSessionAdmin(ServiceActionsMixin, ReadOnlyAdmin):
    list_display = ["number", "agent", "status", "expected_balance", "counted_balance", "variance", "opened_at", "closed_at"]  # fmt: skip  # noqa: E501
    list_filter = ["status"]
    search_fields = ["number", "agent__code", "agent__name"]
    list_select_related = ["agent"]
    date_hierarchy = "opened_at"
    actions = [
        service_action(
            name="post_transaction",
            label=_("Take a payment"),
            permission="payments.post_transaction",
            form=PostForm,
            run=lambda request, row, data: transactions.transaction_post(
                session=row, by=actor(request), **data
            ),
        ),
        service_action(
            name="close_session",
            label=_("Close"),
            permission="payments.close_session",
            form=NothingForm,
            run=lambda request, row, data: sessions.session_close(session=row, by=actor(request)),
        ),
        service_action(
            name="count_session",
            label=_("Record the count"),
            permission="payments.count_session",
            form=CountForm,
            run=lambda request, row, data: sessions.session_count(session=row, by=actor(request), **data),
        ),
        service_action(
            name="reconcile_session",
            label=_("Reconcile"),
            permission="payments.reconcile_session",
            form=ReasonForm,
            run=lambda request, row, data: sessions.session_reconcile(
                session=row,
                by=actor(request),
                reason=data["reason"],
                supervisor=request.user.has_perm("payments.supervise_sessions"),
            ),
        ),
    ]


@admin.register(CashTransaction)
class CashTransactionAdmin(ServiceActionsMixin, ReadOnlyAdmin):
    list_display = ["number", "agent", "plate", "fiscal_year", "tax", "status", "commission", "posted_at", "commission_paid_at"]  # fmt: skip  # noqa: E501
    list_filter = ["status", "fiscal_year"]
    search_fields = ["number", "plate", "agent__code", "session__number"]
    list_select_related = ["agent"]
    date_hierarchy = "posted_at"
    actions = [
        service_action(
            name="approve_transaction",
            label=_("Approve"),
            permission="payments.approve_transaction",
            form=ReasonForm,
            run=lambda request, row, data: transactions.transaction_approve(
                posted=row, by=actor(request), reason=data["reason"]
            ),
        ),
        service_action(
            name="reject_transaction",
            label=_("Reject"),
            permission="payments.approve_transaction",
            form=ReasonForm,
            run=lambda request, row, data: transactions.transaction_reject(
                posted=row, by=actor(request), reason=data["reason"]
            ),
        ),
        service_action(
            name="void_transaction",
            label=_("Void"),
            permission="payments.void_transaction",
            form=ReasonForm,
            run=lambda request, row, data: transactions.transaction_void(
                posted=row, by=actor(request), reason=data["reason"]
            ),
        ),
        service_action(
            name="pay_commission",
            label=_("Pay the commission"),
            permission="payments.pay_commission",
            form=NothingForm,
            run=_pay,
            together=True,
        ),
    ]


@admin.register(TransactionDecision)
class TransactionDecisionAdmin(ReadOnlyAdmin):
    list_display = ["transaction", "kind", "decided_by", "decided_at", "reason"]
    list_filter = ["kind"]
    search_fields = ["transaction__number", "decided_by"]
    list_select_related = ["transaction"]


@admin.register(CommissionReport)
class CommissionReportAdmin(ReadOnlyAdmin):
    list_display = [
        "month",
        "revision",
        "transactions",
        "tax",
        "accrued",
        "pending",
        "paid",
        "cancelled",
        "issued_at",
    ]
    search_fields = ["month", "fingerprint"]
