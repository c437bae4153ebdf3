"""
The months of cash of the demo data, made by the services' rules but in bulk.

Objects are made in memory with the times they would have had, then stored; each has the audit entry that
the service would have written, from the same functions.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from random import Random

from django.utils import timezone

from audit.record import NewEntry
from core.models import TaxPayment, Vehicle
from core.tariff import tax_due
from payments import entries
from payments.models import Agent, CashSession, CashTransaction, TransactionDecision
from payments.rules import APPROVAL_FROM, commission_of, rate_of
from payments.seed.years import UnpaidYears

SUPERVISOR = "user:superviseur"
SESSIONS_A_MONTH = 3
# Of a year's vehicles so many pay in cash.
CASH_SHARE = 0.6
UNRECONCILED_DAYS = 7
Status = CashTransaction.Status


@dataclass
class Ledger:
    """What is to be stored, and the audit entries with their times."""

    sessions: list[CashSession] = field(default_factory=list)
    payments: list[TaxPayment] = field(default_factory=list)
    transactions: list[CashTransaction] = field(default_factory=list)
    decisions: list[TransactionDecision] = field(default_factory=list)
    entries: list[tuple[datetime, NewEntry]] = field(default_factory=list)
    numbers: Counter[str] = field(default_factory=Counter)

    def number(self, prefix: str, at: datetime) -> str:
        """The next number of the local day."""
        start = f"{prefix}-{timezone.localtime(at):%Y%m%d}"
        self.numbers[start] += 1
        return f"{start}-{self.numbers[start]:06d}"

    def told(self, at: datetime, entry: NewEntry) -> None:
        self.entries.append((at, entry))


class Till:
    """Makes sessions and transactions, day by day, until the day before ``until``."""

    def __init__(
        self, random: Random, agents: list[Agent], unpaid: UnpaidYears, *, start: date, until: date
    ) -> None:
        self._random, self._agents, self._unpaid = random, agents, unpaid
        self._start, self._until = start, until
        self.ledger = Ledger()
        months = max(round((until - start).days / 30.4), 1)
        slots = max(len(agents) * SESSIONS_A_MONTH * months, 1)
        self._mean = len(unpaid.vehicles) * CASH_SHARE * months / 12 / slots

    def run(self) -> Ledger:
        """Make everything, in the order in which it would have happened."""
        day = self._start
        while day < self._until:
            if day.weekday() < 6:
                for opened_at, agent in sorted(
                    self._shifts(day), key=lambda shift: (shift[0], shift[1].code)
                ):
                    self._session(agent, opened_at)
            day += timedelta(days=1)
        return self.ledger

    def _shifts(self, day: date) -> Iterator[tuple[datetime, Agent]]:
        last = day == self._until - timedelta(days=1)
        for index, agent in enumerate(self._agents):
            # On the last day the first agents leave their tills open, from the morning or the evening.
            if last and index < 5:
                yield _local(day, 8 if index < 3 else 20, self._random.randint(0, 29)), agent
            elif not last and self._random.random() < SESSIONS_A_MONTH / 26:
                yield _local(day, 7, self._random.randint(30, 119)), agent

    def _session(self, agent: Agent, opened_at: datetime) -> None:
        ledger = self.ledger
        session = CashSession(
            number=ledger.number("SESS", opened_at),
            agent=agent,
            opening_float=self._random.choice([20_000, 50_000, 100_000]),
            opened_at=opened_at,
        )
        ledger.sessions.append(session)
        actor = f"user:{agent.code.lower()}"
        ledger.told(opened_at, entries.session_opened(session, actor=actor))
        taken, at = session.opening_float, opened_at
        for _ in range(self._how_many()):
            at += timedelta(minutes=self._random.randint(31, 55))
            taken += self._transaction(session, at, actor)
        if timezone.localtime(opened_at).date() < self._until - timedelta(days=1):
            self._close(session, at + timedelta(minutes=self._random.randint(40, 120)), taken, actor)

    def _how_many(self) -> int:
        whole = int(self._mean)
        return whole + (self._random.random() < self._mean - whole)

    def _transaction(self, session: CashSession, at: datetime, actor: str) -> int:
        """Take the tax of the next vehicle that owes it; returns the cash that stays in the till."""
        found = self._unpaid.take(timezone.localtime(at).date())
        if found is None:
            return 0
        vehicle, year = found
        tax = tax_due(vehicle=vehicle, fiscal_year=year)
        waits = tax >= APPROVAL_FROM
        posted = self._posted(session, vehicle, year, tax, at, actor, waits)
        self.ledger.told(at, entries.transaction_posted(posted, actor=actor))
        if waits:
            return self._approval(posted, at)
        if self._random.random() < 0.02:
            self._decide(
                posted, "voided", at + timedelta(minutes=self._random.randint(2, 25)), "plaque erronée"
            )
            self._unpaid.give_back(vehicle, year)
            return 0
        return tax

    def _posted(
        self,
        session: CashSession,
        vehicle: Vehicle,
        year: int,
        tax: int,
        at: datetime,
        actor: str,
        waits: bool,
    ) -> CashTransaction:
        payment = TaxPayment(
            vehicle=vehicle, plate=vehicle.plate, fiscal_year=year, amount=tax, method=TaxPayment.Method.CASH,
            paid_at=at, status=TaxPayment.Status.PENDING if waits else TaxPayment.Status.PAID,
        )  # fmt: skip
        change = self._random.choice([0, 0, 5_000, 10_000])
        rate = rate_of(session.agent)
        posted = CashTransaction(
            number=self.ledger.number("CASH", at), session=session, agent=session.agent, payment=payment,
            plate=vehicle.plate, fiscal_year=year, tax=tax, tendered=tax + change, change=change,
            status=Status.PENDING if waits else Status.POSTED, posted_at=at, posted_by=actor,
            accrued_at=None if waits else at, commission_rate=rate,
            commission=commission_of(tax=tax, rate=rate),
        )  # fmt: skip
        self.ledger.payments.append(payment)
        self.ledger.transactions.append(posted)
        return posted

    def _approval(self, posted: CashTransaction, at: datetime) -> int:
        fate, decided_at = self._random.random(), at + timedelta(minutes=self._random.randint(3, 25))
        if fate < 0.1:
            self._decide(posted, "rejected", decided_at, "pièces manquantes")
            assert posted.payment.vehicle is not None  # noqa: S101  (made above)
            self._unpaid.give_back(posted.payment.vehicle, posted.fiscal_year)
            return 0
        # The last weeks' large payments may still wait for the second person.
        if fate > 0.3 or (self._until - timezone.localtime(at).date()).days > 21:
            posted.accrued_at = decided_at
            self._decide(posted, "approved", decided_at, "pièces vérifiées")
        return posted.tax

    def _decide(self, posted: CashTransaction, kind: str, at: datetime, reason: str) -> None:
        decision = TransactionDecision(
            transaction=posted, kind=kind, decided_at=at, decided_by=SUPERVISOR, reason=reason
        )
        posted.status = Status.POSTED if kind == "approved" else Status(kind)
        paid = kind == "approved"
        posted.payment.status = TaxPayment.Status.PAID if paid else TaxPayment.Status.CANCELLED
        self.ledger.decisions.append(decision)
        self.ledger.told(at, entries.transaction_decided(decision, actor=SUPERVISOR))

    def _close(self, session: CashSession, at: datetime, balance: int, actor: str) -> None:
        session.status, session.closed_at, session.closed_by = CashSession.Status.CLOSED, at, actor
        session.expected_balance = balance
        self.ledger.told(at, entries.session_closed(session, actor=actor))
        fresh = (self._until - timezone.localtime(at).date()).days <= UNRECONCILED_DAYS
        if fresh and self._random.random() < 0.4:
            return
        session.counted_at, session.counted_by = at + timedelta(minutes=15), actor
        variance = self._random.choices([0, -500, 500, -2_500, 4_000], [86, 5, 5, 2, 2])[0]
        session.counted_balance, session.variance = max(balance + variance, 0), max(variance, -balance)
        self.ledger.told(session.counted_at, entries.session_counted(session, actor=actor))
        if not fresh:
            session.status = CashSession.Status.RECONCILED
            session.reconciled_at, session.reconciled_by = at + timedelta(hours=14), SUPERVISOR
            reconciled = entries.session_reconciled(session, actor=SUPERVISOR, reason="contrôle du jour")
            self.ledger.told(session.reconciled_at, reconciled)


def _local(day: date, hour: int, minute: int) -> datetime:
    return timezone.make_aware(datetime.combine(day, time(hour)) + timedelta(minutes=minute))
