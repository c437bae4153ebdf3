"""
Mails to the operators, sent straight through Airflow's connection ``smtp_default``.

No Django here: this is the way that still works when the project or its database is what is down.
"""

import hashlib
import os
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path

from airflow.providers.smtp.hooks.smtp import SmtpHook
from airflow.sdk.configuration import conf
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from airflow_django.incident import Incident


class NobodyToTell(RuntimeError):
    """``AIRFLOW_DJANGO_ALERT_RECIPIENTS`` is empty."""


def send_incident(incident: Incident) -> None:
    """
    Mail an incident to the operators.

    The Message-ID is made from the incident's fingerprint, so that a second mail about the same thing can
    be recognised as such.

    :raises NobodyToTell: there are no recipients.
    :raises Exception: whatever the connection or the relay raise.
    """
    recipients = [name.strip() for name in os.environ.get("AIRFLOW_DJANGO_ALERT_RECIPIENTS", "").split(",")]
    recipients = [name for name in recipients if name]
    if not recipients:
        raise NobodyToTell("AIRFLOW_DJANGO_ALERT_RECIPIENTS is empty: nobody is told of failures.")
    with SmtpHook(smtp_conn_id="smtp_default") as hook:
        message = compose(incident, base_url=conf.get("api", "base_url", fallback="http://localhost:8080"))
        message["From"] = hook.from_email or "airflow@localhost"
        message["To"] = ", ".join(recipients)
        # The hook's own sending makes mails of HTML alone; its connection is what we need.
        hook._smtp_client.send_message(message)


def compose(incident: Incident, *, base_url: str) -> EmailMessage:
    """Write the mail, text and HTML, without its addresses."""
    message = EmailMessage()
    message["Subject"] = f"{incident.headline}: {incident.operation} — {incident.run_id}"
    message["Date"] = formatdate()
    message["Message-ID"] = (
        f"<{hashlib.sha256(incident.fingerprint.encode()).hexdigest()[:40]}@{site_name()}>"
    )
    message["Auto-Submitted"] = "auto-generated"
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
    )
    context = {
        "incident": incident,
        "facts": _facts(incident),
        "run_url": incident.run_url(base_url),
        "log_url": incident.log_url(base_url),
        "colour": "#9c2f1f" if incident.headline == "FAILED" else "#8a5a00",
        "site": site_name(),
    }
    message.set_content(templates.get_template("incident.txt").render(context))
    message.add_alternative(templates.get_template("incident.html").render(context), subtype="html")
    return message


def site_name() -> str:
    """Which installation speaks."""
    return os.environ.get("AIRFLOW_DJANGO_SITE_NAME") or "airflow-django.invalid"


def _facts(incident: Incident) -> list[tuple[str, str]]:
    operation = f"{incident.operation} ({incident.summary})" if incident.summary else incident.operation
    facts = [("Operation", operation), ("Period", incident.period), ("Run", incident.run_id)]
    if incident.try_number:
        facts.append(("Try", str(incident.try_number)))
    return facts
