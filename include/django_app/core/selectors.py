"""Reading vehicles, what is paid for them, and what their owners are to be reminded of."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import date, datetime
from enum import StrEnum

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from core.models import Owner, Reminder, TaxPayment, Vehicle
from core.tariff import EXEMPT, tax_due

# Unpaid years before the one in force that mails and reports look at; older ones are the tax office's.
ARREARS_YEARS = 3


class PaymentState(StrEnum):
    """Where a vehicle's tax of one year stands; one that awaits approval is neither paid nor unpaid."""

    PAID = "paid"
    PENDING = "pending"
    UNPAID = "unpaid"


def payment_states(*, vehicle_ids: Collection[int], fiscal_year: int) -> dict[int, PaymentState]:
    """Where each vehicle's tax of a year stands; a cancelled payment counts for nothing."""
    states = dict.fromkeys(vehicle_ids, PaymentState.UNPAID)
    found = _standing().filter(vehicle_id__in=vehicle_ids, fiscal_year=fiscal_year)
    for vehicle_id, status in found.values_list("vehicle_id", "status"):
        states[vehicle_id] = PaymentState(status)
    return states


def vehicles_taxed() -> QuerySet[Vehicle]:
    """Vehicles in use whose category owes tax."""
    return Vehicle.objects.filter(active=True).exclude(category__in=EXEMPT)


def arrears(*, vehicles: Collection[Vehicle], before: int) -> dict[int, list[tuple[int, int]]]:
    """
    The unpaid years before a fiscal year, with their tax in ariary, oldest first, per vehicle that has any.

    A vehicle owes from the year of its first circulation on; a year awaiting approval is not in arrears.
    The last three years count.
    """
    settled: dict[int, set[int]] = defaultdict(set)
    oldest = before - ARREARS_YEARS
    payments = _standing().filter(vehicle__in=vehicles, fiscal_year__range=(oldest, before - 1))
    for vehicle_id, year in payments.values_list("vehicle_id", "fiscal_year"):
        settled[vehicle_id].add(year)
    owed = {
        vehicle.pk: [
            (year, tax)
            for year in range(max(vehicle.first_circulation_on.year, oldest), before)
            if year not in settled[vehicle.pk] and (tax := tax_due(vehicle=vehicle, fiscal_year=year))
        ]
        for vehicle in vehicles
    }
    return {pk: years for pk, years in owed.items() if years}


def reminders_of_mails(*, mail_keys: Iterable[str]) -> QuerySet[Reminder]:
    """The planned reminders of some mails, each with whether its year is settled and a later stage came."""
    settled = _standing().filter(vehicle=OuterRef("vehicle"), fiscal_year=OuterRef("fiscal_year"))
    later = Reminder.objects.filter(
        vehicle=OuterRef("vehicle"), fiscal_year=OuterRef("fiscal_year"), stage_on__gt=OuterRef("stage_on")
    )
    return (
        Reminder.objects.filter(mail_key__in=list(mail_keys), state=Reminder.State.PLANNED)
        .select_related("vehicle")
        .annotate(settled=Exists(settled), overtaken=Exists(later))
        .order_by("due_on", "vehicle__plate", "fiscal_year")
    )


def owners_without_address(*, day: date) -> QuerySet[Owner]:
    """Owners of no mail address who were to be reminded of a year of this day and still owe it."""
    settled = _standing().filter(vehicle=OuterRef("vehicle"), fiscal_year=OuterRef("fiscal_year"))
    missed = Reminder.objects.filter(
        vehicle__owner=OuterRef("pk"),
        vehicle__active=True,
        state=Reminder.State.UNREACHABLE,
        fiscal_year__gte=day.year,
    ).exclude(Exists(settled))
    return Owner.objects.filter(Exists(missed), email="").order_by("pk")


def reminders_waiting() -> list[tuple[str, date, int]]:
    """Stage, due date and number of mails of the reminders that still have to go out."""
    counted = (
        Reminder.objects.filter(state=Reminder.State.PLANNED)
        .values_list("stage", "due_on")
        .annotate(mails=Count("mail_key", distinct=True))
    )
    return list(counted.order_by("due_on", "stage"))


def arrears_years(*, planned_at: datetime, fiscal_year: int) -> int:
    """How many older years are unpaid for the vehicles of the reminders planned at an instant."""
    planned = Reminder.objects.filter(planned_at=planned_at)
    vehicles = Vehicle.objects.filter(
        Exists(planned.filter(vehicle=OuterRef("pk"))), first_circulation_on__year__lt=fiscal_year
    )
    years = sum(
        min(fiscal_year - year, ARREARS_YEARS) * number
        for year, number in vehicles.values_list("first_circulation_on__year").annotate(Count("pk"))
    )
    settled = _standing().filter(
        Exists(planned.filter(vehicle=OuterRef("vehicle"))),
        fiscal_year__range=(fiscal_year - ARREARS_YEARS, fiscal_year - 1),
        fiscal_year__gte=F("vehicle__first_circulation_on__year"),
    )
    return int(years) - settled.count()


def _standing() -> QuerySet[TaxPayment]:
    return TaxPayment.objects.filter(~Q(status=TaxPayment.Status.CANCELLED))
