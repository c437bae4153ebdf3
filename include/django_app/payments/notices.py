"""Mails about cash to agents, supervisors and finance, in French."""

from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone, translation

from outbox.models import Mail
from outbox.services import new_message_id, one_line
from payments.models import CashSession


def notice(*, key: str, recipient: str, subject: str, template: str, context: dict[str, Any]) -> Mail:
    """
    Make an unsaved notice from ``payments/TEMPLATE.txt`` and ``.html``.

    :param key: what makes it unique; see :class:`outbox.models.Mail`.
    """
    now = timezone.now()
    with translation.override("fr"):
        full = {**context, "site_url": settings.SITE_URL, "subject": subject}
        return Mail(
            key=key,
            recipient=recipient,
            category=Mail.Category.NOTICE,
            subject=one_line(subject),
            text=render_to_string(f"payments/{template}.txt", full),
            html=render_to_string(f"payments/{template}.html", full),
            message_id=new_message_id(),
            not_before=now,
            created_at=now,
        )


def session_closed_notice(session: CashSession) -> Mail:
    """Tell the agent that the system closed the session, and that it is still to be counted."""
    return notice(
        key=f"session-closed:{session.number}",
        recipient=session.agent.email,
        subject=f"Caisse {session.number} fermée par le système",
        template="session_closed",
        context={"session": session},
    )
