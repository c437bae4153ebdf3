"""What a round of sending tells about itself."""

from collections.abc import Collection
from dataclasses import dataclass

from outbox.models import Mail
from outbox.selectors import mails_left, others_per_hour


@dataclass(frozen=True)
class Unwritten:
    """A mail that could not be written; the shape is that of an operation's rows left out."""

    subject: str
    reason: str


@dataclass(frozen=True)
class SendReport:
    """
    What became of the mails.

    :ivar deferred: the relay asked to come back later (4xx), or hung up.
    :ivar left: still to go out, now or later.
    :ivar hours_needed: to send what is left at the relay's hourly limit.
    :ivar busy: another process was sending; it sends ours too.
    :ivar considered: mails that were looked at; ``bad_rows`` could not be written and wait.
    """

    sent: int = 0
    refused: int = 0
    withdrawn: int = 0
    deferred: int = 0
    left: int = 0
    hours_needed: int = 0
    busy: bool = False
    considered: int = 0
    bad_rows: tuple[Unwritten, ...] = ()
    warnings: tuple[str, ...] = ()


class RelayUnavailable(ConnectionError):
    """The mail relay can't be reached or hung up; what was not sent waits. ``report`` says what was."""

    def __init__(self, reason: str, report: SendReport) -> None:
        super().__init__(f"The mail relay is not available: {reason}")
        self.report = report


class Tally:
    """Counts on the way, so that also an interrupted run can say what it did."""

    def __init__(self, categories: Collection[str] | None) -> None:
        self.sent = self.refused = self.withdrawn = self.deferred = self.hang_ups = 0
        self._unwritten: list[Unwritten] = []
        self._categories = categories

    def cannot_write(self, mail: Mail, error: Exception) -> None:
        """Take note of a mail that could not be written; the reason names no person."""
        self._unwritten.append(Unwritten(f"outbox.mail:{mail.pk}", f"not written: {type(error).__name__}"))

    def report(self, *, busy: bool = False) -> SendReport:
        """Count what is left, and report."""
        left = mails_left(categories=self._categories)
        counted = self.sent + self.refused + self.withdrawn + self.deferred
        return SendReport(
            sent=self.sent,
            refused=self.refused,
            withdrawn=self.withdrawn,
            deferred=self.deferred,
            left=left,
            hours_needed=-(-left // others_per_hour()),
            busy=busy,
            considered=counted + len(self._unwritten),
            bad_rows=tuple(self._unwritten),
            warnings=self._warnings(busy),
        )

    def _warnings(self, busy: bool) -> tuple[str, ...]:
        warnings = []
        if self.refused:
            warnings.append(f"{self.refused} recipients were refused by the relay; the outbox names them.")
        if busy:
            warnings.append("Another process was sending; it sends what waits.")
        return tuple(warnings)
