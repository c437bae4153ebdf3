"""Making the demo data: in memory first, then stored in bulk in one transaction."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random

from django.db import transaction
from django.utils import timezone

from audit.services import append_entries, trail_is_empty
from core.models import Owner, TaxPayment, Vehicle
from core.tariff import tax_due
from payments import entries
from payments.models import Agent, CashSession, CashTransaction, TransactionDecision
from payments.seed.cash import SUPERVISOR, Ledger, Status, Till
from payments.seed.people import make_agents, make_owners, make_vehicles
from payments.seed.years import UnpaidYears

BATCH = 5_000


class TrailInUse(RuntimeError):
    """The audit trail has entries: demo data would mix with real records."""


@dataclass(frozen=True)
class SeedReport:
    """How many rows were made."""

    owners: int
    vehicles: int
    agents: int
    payments: int
    sessions: int
    transactions: int
    audit_entries: int


@transaction.atomic
def demo_seed(*, vehicles: int, agents: int, months: int, as_of: date, seed: int) -> SeedReport:
    """
    Make the demo data; everything lies before the local day ``as_of``.

    :raises TrailInUse: there are audit entries already; nothing was written.
    """
    if not trail_is_empty():
        raise TrailInUse("the audit trail has entries already: demo data goes into an empty database only")
    random = Random(seed)  # noqa: S311  (demo data)
    owners = make_owners(random, vehicles)
    made = make_vehicles(random, owners, vehicles, until=as_of)
    crew = make_agents(random, agents)
    unpaid = UnpaidYears(random, made, until=as_of)
    ledger = Till(random, crew, unpaid, start=_months_before(as_of, months), until=as_of).run()
    _pay_commissions(ledger, as_of)
    otherwise = list(_paid_otherwise(random, unpaid, as_of))
    _store(owners, made, crew, ledger, otherwise)
    return SeedReport(
        owners=len(owners),
        vehicles=len(made),
        agents=len(crew),
        payments=len(ledger.payments) + len(otherwise),
        sessions=len(ledger.sessions),
        transactions=len(ledger.transactions),
        audit_entries=len(ledger.entries),
    )


def _months_before(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, 1)


def _pay_commissions(ledger: Ledger, as_of: date) -> None:
    """Pay each month's commissions on the 10th of the following one, as far as that has come."""
    for each in ledger.transactions:
        if each.status != Status.POSTED or each.accrued_at is None:
            continue
        accrued = timezone.localtime(each.accrued_at)
        following = date(accrued.year + accrued.month // 12, accrued.month % 12 + 1, 10)
        if following < as_of:
            each.commission_paid_at = timezone.make_aware(datetime.combine(following, time(11)))
            ledger.told(each.commission_paid_at, entries.commission_paid(each, actor=SUPERVISOR))


def _paid_otherwise(random: Random, unpaid: UnpaidYears, as_of: date) -> list[TaxPayment]:
    """Most of what isn't paid in cash is paid by mobile money or card; the rest stays owed."""
    made = []
    for vehicle, year in unpaid.left(until=as_of.year):
        if random.random() > (0.72 if year == as_of.year else 0.95):
            continue
        first = max(date(year, 1, 1), vehicle.first_circulation_on)
        last = min(date(year, 12, 31), as_of - timedelta(days=1))
        day = first + timedelta(days=random.randint(0, max((last - first).days, 0)))
        made.append(
            TaxPayment(
                vehicle=vehicle,
                plate=vehicle.plate,
                fiscal_year=year,
                amount=tax_due(vehicle=vehicle, fiscal_year=year),
                method=random.choice([TaxPayment.Method.MOBILE_MONEY, TaxPayment.Method.CARD]),
                paid_at=timezone.make_aware(datetime.combine(day, time(random.randint(8, 20)))),
            )
        )
    return made


def _store(
    owners: list[Owner],
    vehicles: list[Vehicle],
    agents: list[Agent],
    ledger: Ledger,
    otherwise: list[TaxPayment],
) -> None:
    Owner.objects.bulk_create(owners, batch_size=BATCH)
    Vehicle.objects.bulk_create(vehicles, batch_size=BATCH)
    Agent.objects.bulk_create(agents, batch_size=BATCH)
    CashSession.objects.bulk_create(ledger.sessions, batch_size=BATCH)
    # Voided and rejected payments first: the vehicle may have paid again.
    TaxPayment.objects.bulk_create([*ledger.payments, *otherwise], batch_size=BATCH)
    CashTransaction.objects.bulk_create(ledger.transactions, batch_size=BATCH)
    TransactionDecision.objects.bulk_create(ledger.decisions, batch_size=BATCH)
    in_order = sorted(ledger.entries, key=lambda told: told[0])
    append_entries([entry for _, entry in in_order], at=[at for at, _ in in_order])
