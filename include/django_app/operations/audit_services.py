"""Verifying the audit trail as an operation: a finding stops it, and alerts when nobody else would."""

import hashlib
import logging
import os

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from audit.verification import AuditReport, length, verify_trail
from operations.outcomes import Finding, UsageRefused
from outbox.models import Mail
from outbox.reports import RelayUnavailable
from outbox.sending import send_due
from outbox.services import queue_mail

logger = logging.getLogger(__name__)


def audit_trail_verify(*, from_sequence: int, to_sequence: int | None, alert: bool) -> AuditReport:
    """
    Verify the trail or a range of it.

    :param alert: mail the operators on a finding, unless this runs inside Airflow, whose callback does.
    :raises Finding: something is wrong; the message names the first entries.
    :raises UsageRefused: there is no such range.
    """
    _refuse_range(from_sequence, to_sequence)
    report = verify_trail(from_sequence=from_sequence, to_sequence=to_sequence)
    if report.sound:
        return report
    message = f"{report.findings_total} findings in the audit trail: " + "; ".join(
        map(str, report.findings[:3])
    )
    if alert and not os.environ.get("AIRFLOW_CTX_DAG_RUN_ID"):
        try:
            _alert(report, message)
        except Exception:
            # Whatever keeps the mail from going, the finding is what this run ends with.
            logger.exception("The alert about the audit trail could not be handed over.")
    raise Finding(message, report)


def _refuse_range(first: int, last: int | None) -> None:
    if first < 1:
        raise UsageRefused("--from", f"sequences begin at 1, not {first}")
    if last is not None and last < first:
        raise UsageRefused("--to", f"{last} lies before --from {first}")
    if first > 1 and first > (entries := length()):
        raise UsageRefused("--from", f"{first} lies after the last of {entries} entries")


def _alert(report: AuditReport, message: str) -> None:
    # One mail a day for the same findings, however often the command is run.
    digest = hashlib.sha256("\n".join(map(str, report.findings)).encode()).hexdigest()[:32]
    key = f"audit-finding:{timezone.localdate()}:{digest}"
    lines = "\n".join(f"- {finding}" for finding in report.findings[:20])
    text = f"{_WHAT}\n\n{message}\n\n{lines}\n\n{_WHAT_TO_DO}"
    html = format_html(
        "<p><strong>{}</strong></p><ul>{}</ul><p>{}</p>",
        _WHAT,
        format_html_join("", "<li>{}</li>", ((str(finding),) for finding in report.findings[:20])),
        _WHAT_TO_DO,
    )
    if not settings.ALERT_RECIPIENTS:
        logger.error("TAXOPS_ALERT_RECIPIENTS is empty: nobody is told.")
    with transaction.atomic():
        for number, recipient in enumerate(settings.ALERT_RECIPIENTS):
            queue_mail(
                key=f"{key}:{number}",
                recipient=recipient,
                subject=f"FAILED: verify_audit_trail, {report.findings[0].name}",
                text=text,
                html=html,
                category=Mail.Category.ALERT,
            )
    try:
        send_due(categories=[Mail.Category.ALERT])
    except RelayUnavailable as error:
        logger.warning("The alert waits in the outbox: %s", error)


_WHAT = "The audit trail, or the records that it tells of, were changed outside the application."
_WHAT_TO_DO = (
    "What to do: keep the database as it is, tell the auditors, and look at the entries named above. "
    "Commission reports of the months concerned are withheld."
)
