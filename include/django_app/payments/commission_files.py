"""The report's CSV, written whole or not at all."""

import csv
import io
import os
from pathlib import Path

from django.conf import settings

from config.failpoints import failpoint
from payments.commission_selectors import AgentFigures, MonthFigures

HEAD = (
    "agent", "nom", "transactions", "taxe (Ar)", "commission (Ar)", "taux",
    "à payer (Ar)", "payé (Ar)", "transactions annulées", "commission annulée (Ar)",
)  # fmt: skip
# A spreadsheet would take these for a formula.
DANGEROUS = ("=", "+", "-", "@", "\t", "\r")


def cell(text: str) -> str:
    """Make text that a spreadsheet shows as text."""
    return f"'{text}" if text.startswith(DANGEROUS) else text


def report_csv(figures: MonthFigures) -> bytes:
    """Write UTF-8 CSV with a byte order mark, semicolons and a line of totals, as spreadsheets read it."""
    target = io.StringIO()
    writer = csv.writer(target, delimiter=";", lineterminator="\r\n")
    writer.writerow(HEAD)
    writer.writerows(_row(agent) for agent in figures.agents)
    sums = ("transactions", "tax", "accrued", "pending", "paid", "cancelled_transactions", "cancelled")
    total = {name: figures.total(name) for name in sums}
    writer.writerow(
        [
            "TOTAL", "", total["transactions"], total["tax"], total["accrued"], "",
            total["pending"], total["paid"], total["cancelled_transactions"], total["cancelled"],
        ]
    )  # fmt: skip
    return target.getvalue().encode("utf-8-sig")


def _row(agent: AgentFigures) -> list[str | int]:
    return [
        cell(agent.agent), cell(agent.name), agent.transactions, agent.tax, agent.accrued,
        " / ".join(agent.rates), agent.pending, agent.paid, agent.cancelled_transactions, agent.cancelled,
    ]  # fmt: skip


def store(*, month: str, revision: int, content: bytes) -> str:
    """
    Write a report's CSV under a temporary name, sync it, and rename it.

    :returns: its path below the reports folder.
    :raises OSError: the disk is full or away; nothing stands under the final name.
    """
    relative = Path(month) / f"commissions-{month}-r{revision}.csv"
    final = settings.REPORTS_DIR / relative
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as target:
            target.write(content)
            failpoint("payments.report.written")
            target.flush()
            os.fsync(target.fileno())
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)
    return str(relative)
