"""Verifying the audit trail as an operation: a finding stops it, and alerts when nobody else would."""

import os

from django.conf import settings
from django.db import transaction
from django.utils.html import format_html, format_html_join

from audit.verification import AuditReport, verify_trail
from operations.outcomes import Finding, UsageRefused
from outbox.models import Mail
from outbox.reports import RelayUnavailable
from outbox.sending import send_due
from outbox.services import queue_mail


def audit_trail_verify(*, from_sequence: int, to_sequence: int | None, alert: bool) -> AuditReport:
    """
    Verify the trail or a range of it.

    :param alert: mail the operators on a finding, unless this runs inside Airflow, whose callback does.
    :raises Finding: something is wrong; the message names the first entries.
    """
    if from_sequence < 1:
        raise UsageRefused("--from", f"sequences begin at 1, not {from_sequence}")
    if to_sequence is not None and to_sequence < from_sequence:
        raise UsageRefused("--to", f"{to_sequence} lies before --from {from_sequence}")
    report = verify_trail(from_sequence=from_sequence, to_sequence=to_sequence)
    if report.sound:
        return report
    message = f"{report.findings_total} findings in the audit trail: " + "; ".join(
        map(str, report.findings[:3])
    )
    if alert and not os.environ.get("AIRFLOW_CTX_DAG_RUN_ID"):
        _alert(report, message)
    raise Finding(message, report)


def _alert(report: AuditReport, message: str) -> None:
    # One mail for the same findings, however often the command is run.
    first = report.findings[0]
    key = f"audit-finding:{first.sequence}:{first.kind}:{first.found[:32]}:{report.findings_total}"
    lines = "\n".join(f"- {finding}" for finding in report.findings[:20])
    text = (
        f"The audit trail was changed outside the application.\n\n{message}\n\n{lines}\n\n"
        "What to do: keep the database as it is, tell the auditors, look at the entries named above. "
        "Commission reports of the months concerned are withheld."
    )
    html = format_html(
        "<p><strong>The audit trail was changed outside the application.</strong></p><ul>{}</ul>"
        "<p>What to do: keep the database as it is, tell the auditors, look at the entries named above. "
        "Commission reports of the months concerned are withheld.</p>",
        format_html_join("", "<li>{}</li>", ((str(finding),) for finding in report.findings[:20])),
    )
    with transaction.atomic():
        for recipient in settings.ALERT_RECIPIENTS:
            queue_mail(
                key=f"{key}:{recipient}",
                recipient=recipient,
                subject=f"FAILED: verify_audit_trail, entry {first.sequence}",
                text=text,
                html=html,
                category=Mail.Category.ALERT,
            )
    try:
        send_due(categories=[Mail.Category.ALERT])
    except RelayUnavailable:
        # The alert waits in the outbox; the finding is what this run ends with.
        return
