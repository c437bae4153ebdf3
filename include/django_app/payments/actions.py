"""
Admin actions that move money: select rows, fill a form, and a service does it or says why not.

The pages hold no rule. Who may use an action is a permission; the second person, amounts and reasons are
the services' business.
"""

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import helpers
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from payments.rules import Refused

# A form holds the selected rows, and Django takes 1 000 fields of a form at most.
MOST_ROWS = 500

Run = Callable[[HttpRequest, Any, dict[str, Any]], object]
AdminAction = Callable[[Any, HttpRequest, QuerySet[Any]], TemplateResponse | None]


def actor(request: HttpRequest) -> str:
    """How the audit trail names the person."""
    return f"user:{request.user.get_username()}"


def service_action(
    *, name: str, label: Any, permission: str, form: type[forms.Form], run: Run, together: bool = False
) -> AdminAction:
    """
    Make an admin action with a form between.

    :param permission: needed, such as ``payments.count_session``.
    :param run: called for each selected row, or once with the list of them if ``together``.
    """

    def act(model_admin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> TemplateResponse | None:
        if not request.user.has_perm(permission):
            model_admin.message_user(request, _("You may not do this."), messages.ERROR)
            return None
        if queryset.count() > MOST_ROWS:
            too_many = _("Select at most %(count)d records.") % {"count": MOST_ROWS}
            model_admin.message_user(request, too_many, messages.ERROR)
            return None
        rows = list(queryset)
        confirmed = "confirmed" in request.POST
        filled = form(request.POST if confirmed else None)
        if confirmed and filled.is_valid() and _all_done(request, filled, [rows] if together else rows, run):
            done = ngettext("%(count)d record done.", "%(count)d records done.", len(rows))
            model_admin.message_user(request, done % {"count": len(rows)}, messages.SUCCESS)
            return None
        context = {
            **model_admin.admin_site.each_context(request),
            "title": label,
            "rows": rows,
            "form": filled,
            "opts": model_admin.model._meta,
            "action": name,
            "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "payments/action.html", context)

    act.__name__ = name
    act.short_description = label  # type: ignore[attr-defined]
    act.permission = permission  # type: ignore[attr-defined]
    return act


def _all_done(request: HttpRequest, filled: forms.Form, rows: Sequence[Any], run: Run) -> bool:
    """
    Call the service for each row, all or none of them.

    What it refuses is shown at its field, or above the form with the field's name.
    """
    with transaction.atomic():
        for row in rows:
            try:
                run(request, row, filled.cleaned_data)
            except Refused as refusal:
                _show(filled, refusal)
        if filled.errors:
            transaction.set_rollback(True)
    return not filled.errors


def _show(filled: forms.Form, refusal: Refused) -> None:
    if refusal.field in filled.fields:
        filled.add_error(refusal.field, refusal.shown())
    else:
        filled.add_error(None, f"{_FIELDS.get(refusal.field, refusal.field)} : {refusal.shown()}")


# What a service takes from the page and not from the form.
_FIELDS = {
    "agent": gettext_lazy("agent"),
    "by": gettext_lazy("person"),
    "session": gettext_lazy("session"),
    "transaction": gettext_lazy("transaction"),
    "transactions": gettext_lazy("transactions"),
}


class ServiceActionsMixin:
    """Shows an action only to those who may use it."""

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        found: dict[str, Any] = super().get_actions(request)  # type: ignore[misc]
        return {
            name: each
            for name, each in found.items()
            if not hasattr(each[0], "permission") or request.user.has_perm(each[0].permission)
        }
