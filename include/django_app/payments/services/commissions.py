"""The commission report of a month (docs/domain.md §4), the operation generate_commission_report."""

import hashlib
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from audit.record import canonical_json
from audit.services import append_entries
from audit.verification import verify_until
from config.failpoints import failpoint
from core.calendar import local_day
from operations.outcomes import Finding, Misconfigured, UsageRefused
from outbox.models import Mail
from outbox.reports import RelayUnavailable
from outbox.sending import send_due
from outbox.services import queue_mails
from payments import entries
from payments.commission_files import report_csv, store
from payments.commission_selectors import MonthFigures, month_bounds, month_figures
from payments.models import CommissionReport
from payments.notices import notice

ACTOR = "system:generate_commission_report"
MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True)
class CommissionOutcome:
    """
    What one run reported; amounts in ariary.

    :ivar is_new: whether a revision was made; the same figures again make none.
    :ivar changes: what differs from the revision before, one sentence each.
    """

    month: str
    revision: int
    is_new: bool
    agents: int
    transactions: int
    tax: int
    accrued: int
    pending: int
    paid: int
    cancelled: int
    fingerprint: str
    file: str
    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def month_before(as_of: datetime) -> str:
    """The local calendar month before the one of this instant, ``YYYY-MM``."""
    day = local_day(as_of)
    year, month = (day.year - 1, 12) if day.month == 1 else (day.year, day.month - 1)
    return f"{year:04d}-{month:02d}"


def month_checked(month: str, *, as_of: datetime) -> str:
    """
    Return the month if it can be reported.

    :raises UsageRefused: it isn't ``YYYY-MM``, or isn't over at ``as_of``.
    """
    if not MONTH.fullmatch(month) or month < "0001":
        raise UsageRefused("--month", f"{month!r} is not a month such as 2026-03")
    if month_bounds(month)[1] > as_of:
        raise UsageRefused("--month", f"{month} is not over")
    return month


def commission_report(*, month: str, as_of: datetime, dry_run: bool) -> CommissionOutcome:
    """
    Report a month that is over; safe to repeat.

    The same accrued figures make nothing new and mail nobody; others make the next revision.

    :raises UsageRefused: the month can't be reported.
    :raises Finding: the audit entries up to the month's end have one; the report is withheld.
    """
    month_checked(month, as_of=as_of)
    if not settings.FINANCE_RECIPIENTS:
        raise Misconfigured("TAXOPS_FINANCE_RECIPIENTS is empty: nobody would get the report.")
    _withhold_on_findings(month)
    figures = month_figures(month=month, as_of=as_of)
    failpoint("payments.report.figures")
    report, is_new = _stored(figures, as_of=as_of, dry_run=dry_run)
    return CommissionOutcome(
        month=month,
        revision=report.revision,
        is_new=is_new,
        agents=len(figures.agents),
        transactions=report.transactions,
        tax=report.tax,
        accrued=report.accrued,
        pending=figures.total("pending"),
        paid=figures.total("paid"),
        cancelled=figures.total("cancelled"),
        fingerprint=report.fingerprint,
        file=report.files.get("csv", ""),
        changes=tuple(report.changes) if is_new else (),
        warnings=() if dry_run else _send_mails(),
    )


def _withhold_on_findings(month: str) -> None:
    report = verify_until(at=month_bounds(month)[1])
    if report.sound:
        return
    with transaction.atomic():
        append_entries([entries.report_withheld(month=month, findings=report.findings_total, actor=ACTOR)])
    raise Finding(
        f"The report of {month} is withheld: {report.findings_total} findings in the audit trail, "
        f"first {report.findings[0]}",
        report,
    )


def fingerprint_of(figures: MonthFigures) -> str:
    """Hash the accrued figures: what decides whether a revision is new."""
    accruals = [_plain(agent.accrual()) for agent in figures.agents]
    return hashlib.sha256(canonical_json({"month": figures.month, "agents": accruals}).encode()).hexdigest()


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    return {key: list(item) if isinstance(item, tuple) else item for key, item in value.items()}


@transaction.atomic
def _stored(figures: MonthFigures, *, as_of: datetime, dry_run: bool) -> tuple[CommissionReport, bool]:
    """
    Store the next revision, its file, its entry and its mails in one transaction, if the figures are new.

    The file comes first: killed before the commit it is only a file that the next run writes again.
    """
    last = CommissionReport.objects.filter(month=figures.month).order_by("-revision").first()
    fingerprint = fingerprint_of(figures)
    if last is not None and last.fingerprint == fingerprint:
        return last, False
    revision = last.revision + 1 if last else 1
    files = {}
    if not dry_run:
        files["csv"] = store(month=figures.month, revision=revision, content=report_csv(figures))
        failpoint("payments.report.stored")
    report = CommissionReport.objects.create(
        month=figures.month,
        revision=revision,
        figures=[_plain(asdict(agent)) for agent in figures.agents],
        changes=_changes(last, figures),
        fingerprint=fingerprint,
        files=files,
        as_of=as_of,
        issued_at=timezone.now(),
        **{
            name: figures.total(name)
            for name in ("transactions", "tax", "accrued", "pending", "paid", "cancelled")
        },
    )
    append_entries([entries.report_issued(report, actor=ACTOR)])
    queue_mails([_mail(report, figures, recipient) for recipient in settings.FINANCE_RECIPIENTS])
    failpoint("payments.report.before_commit")
    return report, True


def _changes(last: CommissionReport | None, figures: MonthFigures) -> list[str]:
    """Say, agent by agent, what differs from the last revision."""
    if last is None:
        return []
    before = {agent["agent"]: agent for agent in last.figures}
    after = {agent.agent: _plain(asdict(agent)) for agent in figures.agents}
    found = []
    for code in sorted(before.keys() | after.keys()):
        old, new = before.get(code, {}), after.get(code, {})
        found += [
            f"{code}: {name} {old.get(name, 0)} -> {new.get(name, 0)}"
            for name in ("transactions", "tax", "accrued")
            if old.get(name, 0) != new.get(name, 0)
        ]
        if old.get("rates") != new.get("rates") and old and new:
            found.append(f"{code}: rates {old['rates']} -> {new['rates']}")
    return found


def _mail(report: CommissionReport, figures: MonthFigures, recipient: str) -> Mail:
    corrected = f", révision {report.revision}" if report.revision > 1 else ""
    return notice(
        key=f"report:{report.month}:r{report.revision}:{recipient}",
        recipient=recipient,
        subject=f"Commissions {report.month}{corrected}",
        template="commission_report",
        context={"report": report, "agents": figures.agents, "cancelled": figures.total("cancelled")},
    )


def _send_mails() -> tuple[str, ...]:
    # The report stands; a relay that is away only delays the mail, which send_outbox sends later.
    try:
        send_due(categories=[Mail.Category.NOTICE])
    except RelayUnavailable as error:
        return (f"{error} The mail waits in the outbox.",)
    return ()
