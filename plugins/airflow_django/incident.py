"""What a mail to the operators says, whatever raised it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

LONGEST_CAUSE = 1_000


@dataclass(frozen=True, kw_only=True)
class Incident:
    """
    One thing that happened to one run.

    :ivar headline: the subject's first words, such as ``FAILED``.
    :ivar cause: one sentence.
    :ivar advice: what to do, from the operation's page.
    :ivar fingerprint: the same for the same happening; it becomes the mail's Message-ID.
    """

    headline: str
    operation: str
    summary: str
    run_id: str
    period: str
    cause: str
    advice: str
    fingerprint: str
    try_number: int | None = None

    def run_url(self, base_url: str) -> str:
        """The run's page in Airflow."""
        return f"{base_url.rstrip('/')}/dags/{quote(self.operation)}/runs/{quote(self.run_id, safe='')}"

    def log_url(self, base_url: str) -> str:
        """The task's log in Airflow."""
        tried = f"?try_number={self.try_number}" if self.try_number else ""
        return f"{self.run_url(base_url)}/tasks/{quote(self.operation)}{tried}"


def shortened(text: str) -> str:
    """Make a cause one line of a bearable length."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_CAUSE else f"{line[:LONGEST_CAUSE]}…"


def advice_of(doc: str | None) -> str:
    """
    Return the "When it fails" section of an operation's page, as one paragraph.

    :param doc: Markdown with ``## `` or ``**…**`` headings, or ``None``.
    """
    _, found, section = (doc or "").partition("## When it fails")
    lines = section.split("\n## ")[0].strip() if found else ""
    return " ".join(lines.split()) or "Read the task's log, mend the cause, then clear the task in Airflow."


def period_of(*, run: Mapping[str, Any], zone: str, interval: str) -> str:
    """
    Name what the run was for: its month, or its scheduled instant in the operation's zone.

    :param run: ``conf``, ``run_after`` and ``data_interval_start`` of the DAG run, instants or ISO text.
    """
    conf = run.get("conf") or {}
    if interval:
        if conf.get(interval):
            return str(conf[interval])
        if run.get("data_interval_start"):
            return _local(run["data_interval_start"], zone).strftime("%Y-%m")
    if not run.get("run_after"):
        return "unknown"
    return f"{_local(run['run_after'], zone):%Y-%m-%d %H:%M} ({zone})"


def _local(value: datetime | str, zone: str) -> datetime:
    instant = datetime.fromisoformat(value.replace("Z", "+00:00")) if isinstance(value, str) else value
    return instant.astimezone(ZoneInfo(zone))
