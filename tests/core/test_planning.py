"""What is planned on which day, and for whom (docs/domain.md §2)."""

from datetime import date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone

from core.calendar import latest_stage, stages
from core.models import Reminder, Vehicle
from core.planning import Plan, plan_reminders
from core.selectors import PaymentState, arrears, payment_states
from core.tariff import tax_due
from outbox.models import Mail
from tests import factories

pytestmark = pytest.mark.django_db


def plan(day: str) -> Plan:
    return plan_reminders(day=date.fromisoformat(day), planned_at=timezone.now())


def planned_for(vehicle: Vehicle) -> list[tuple[int, str]]:
    found = Reminder.objects.filter(vehicle=vehicle).order_by("stage_on")
    return list(found.values_list("fiscal_year", "stage"))


@pytest.mark.parametrize(
    "first", [date(2020, 6, 15), date(2028, 1, 1), date(2028, 1, 31), date(2028, 2, 29), date(2028, 12, 1)]
)
def test_each_stage_is_planned_once_and_on_its_day(first: date) -> None:
    vehicle = factories.vehicle(first_circulation_on=first)
    seen: dict[str, date] = {}

    for offset in range(366):
        day = date(2028, 1, 1) + timedelta(days=offset)
        plan_reminders(day=day, planned_at=timezone.now())
        fresh = Reminder.objects.filter(vehicle=vehicle).exclude(stage__in=seen)
        seen.update(dict.fromkeys(fresh.values_list("stage", flat=True), day))

    assert seen == dict(stages(first_circulation_on=first, fiscal_year=2028))
    assert all(row.stage_on == seen[row.stage] for row in Reminder.objects.filter(vehicle=vehicle))


@pytest.mark.parametrize("day", ["2026-01-01", "2026-01-30", "2026-04-15", "2026-11-24", "2026-12-31"])
def test_only_the_latest_missed_stage_is_caught_up(day: str) -> None:
    vehicle = factories.vehicle()

    plan(day)
    plan(day)

    expected = latest_stage(
        first_circulation_on=vehicle.first_circulation_on,
        fiscal_year=2026,
        day=date.fromisoformat(day),
    )
    assert expected is not None
    assert planned_for(vehicle) == [(2026, expected[0])]


def test_a_vehicle_not_yet_in_circulation_is_not_reminded_of() -> None:
    vehicle = factories.vehicle(first_circulation_on=date(2026, 3, 2))

    assert plan("2026-03-01").planned == 0
    assert plan("2026-03-02").planned == 1
    assert planned_for(vehicle) == [(2026, "due+0")]


@pytest.mark.parametrize(
    "changes",
    [
        {"active": False},
        {"owner": None},
        *({"category": name} for name in ("ambulance", "fire_service", "administrative", "international")),
        {"kind": "sea", "sea_kind": "pleasure", "power_cv": 21, "length_cm": 699, "engine_kw": 89},
        {"kind": "sea", "sea_kind": "jet_ski", "power_cv": 99, "length_cm": 999, "engine_kw": 89},
    ],
)
def test_who_owes_nothing_or_has_no_owner_is_not_reminded_of(changes: dict[str, Any]) -> None:
    vehicle = factories.vehicle(**changes)

    assert plan("2026-01-24").planned == 0
    assert vehicle.owner is None or not vehicle.active or tax_due(vehicle=vehicle, fiscal_year=2026) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "air"},
        {"kind": "sea", "sea_kind": "other"},
        {"kind": "sea", "sea_kind": "pleasure", "length_cm": 700},
        {"kind": "sea", "sea_kind": "pleasure", "power_cv": 22},
        {"kind": "sea", "sea_kind": "jet_ski", "engine_kw": 90},
    ],
)
def test_aircraft_and_taxed_craft_are_reminded_of(changes: dict[str, Any]) -> None:
    factories.vehicle(**changes)

    assert plan("2026-01-24").planned == 1


@pytest.mark.parametrize(("status", "planned"), [("paid", 0), ("pending", 0), ("cancelled", 1)])
def test_paid_and_pending_years_are_left_alone_and_cancelled_ones_are_not(status: str, planned: int) -> None:
    factories.paid(factories.vehicle(), 2026, status=status)

    assert plan("2026-01-24").planned == planned


@pytest.mark.parametrize(
    ("day", "this_year", "next_year", "expected"),
    [
        ("2026-11-30", "paid", None, []),
        ("2026-12-01", "paid", None, [(2027, "expiring")]),
        ("2026-12-31", "paid", None, [(2027, "expiring")]),
        ("2026-12-01", "paid", "paid", []),
        ("2026-12-01", "paid", "pending", []),
        ("2026-12-01", "paid", "cancelled", [(2027, "expiring")]),
        ("2026-12-01", "pending", None, []),
        ("2026-12-01", None, None, [(2026, "due+300")]),
    ],
)
def test_expiring_is_said_in_december_when_this_year_is_paid_and_the_next_is_not(
    day: str, this_year: str | None, next_year: str | None, expected: list[tuple[int, str]]
) -> None:
    vehicle = factories.vehicle()
    for year, status in ((2026, this_year), (2027, next_year)):
        if status:
            factories.paid(vehicle, year, status=status)

    plan(day)
    plan(day)

    assert planned_for(vehicle) == expected


def test_the_first_stage_of_the_new_year_overtakes_the_expiring_one() -> None:
    vehicle = factories.vehicle()
    factories.paid(vehicle, 2026)
    plan("2026-12-01")

    assert plan("2027-01-01").overtaken == 1

    states = dict(Reminder.objects.values_list("stage", "state"))
    assert states == {"expiring": "withdrawn", "due-30": "planned"}
    assert Mail.objects.count() == 1


def test_a_later_stage_overtakes_one_that_still_waits_and_joins_its_mail() -> None:
    factories.vehicle()
    plan("2026-01-24")

    second = plan("2026-01-31")

    assert (second.planned, second.overtaken, second.mails) == (1, 1, 0)
    (mail,) = Mail.objects.all()
    assert set(Reminder.objects.values_list("stage", "state", "mail_key")) == {
        ("due-7", "withdrawn", mail.key),
        ("due+0", "planned", mail.key),
    }


def test_an_earlier_day_planned_after_a_later_one_brings_no_stage_back() -> None:
    vehicle = factories.vehicle()
    plan("2026-02-07")

    assert plan("2026-01-24").planned == 0
    assert planned_for(vehicle) == [(2026, "due+7")]


def test_a_year_that_is_over_is_overtaken_by_the_next() -> None:
    factories.vehicle()
    plan("2026-12-27")

    plan("2027-01-01")

    assert set(Reminder.objects.values_list("fiscal_year", "state")) == {
        (2026, "withdrawn"),
        (2027, "planned"),
    }


def test_one_mail_for_an_owner_of_many_the_most_urgent_day_first() -> None:
    fleet = factories.owner()
    for first in (date(2026, 3, 2), date(2010, 1, 1), date(2012, 1, 1)):
        factories.vehicle(owner=fleet, first_circulation_on=first)

    report = plan("2026-03-02")

    (mail,) = Mail.objects.all()
    assert (report.planned, report.mails) == (3, 1)
    assert mail.key == f"reminder:{fleet.pk}:2026-03-02"
    assert (mail.recipient, mail.category, mail.due_on) == (fleet.email, "reminder", date(2026, 1, 31))
    assert mail.message_id.endswith("@tests.taxops.example>")


@pytest.mark.parametrize("state", ["claimed", "sent", "withdrawn", "refused"])
def test_an_owner_whose_mail_of_the_day_is_gone_hears_of_more_tomorrow(state: str) -> None:
    owner = factories.owner()
    factories.vehicle(owner=owner)
    plan("2026-01-24")
    gone = timezone.now() if state == "sent" else None
    Mail.objects.update(state=state, sent_at=gone)
    another = factories.vehicle(owner=owner)

    assert plan("2026-01-24").planned == 0

    if state == "claimed":  # of unknown fate until the sender has settled it
        assert plan("2026-01-25").planned == 0
        Mail.objects.update(state="sent", sent_at=timezone.now())
    assert plan("2026-01-25").planned == 1
    assert planned_for(another) == [(2026, "due-7")]


def test_an_owner_who_got_a_delayed_mail_today_hears_of_more_tomorrow() -> None:
    owner = factories.owner()
    factories.vehicle(owner=owner)
    plan("2026-01-24")
    seven = datetime.fromisoformat("2026-01-31T07:00:00+03:00")
    Mail.objects.update(state="sent", sent_at=seven, claimed_at=seven)

    assert plan("2026-01-31").planned == 0
    assert plan("2026-02-01").planned == 1


def test_owners_without_an_address_are_counted_and_no_mail_is_made() -> None:
    factories.vehicle(owner=factories.owner(email=""))

    report = plan("2026-01-24")

    assert (report.planned, report.unreachable, report.mails) == (0, 1, 0)
    (reminder,) = Reminder.objects.all()
    assert (reminder.state, reminder.reason, reminder.mail_key) == ("unreachable", "no address", "")


def test_the_number_of_statements_does_not_grow_with_the_number_of_vehicles(
    django_assert_num_queries: Any,
) -> None:
    for number in range(30):
        factories.vehicle(plate=f"{number + 1}ZZ")

    with django_assert_num_queries(10):
        assert plan("2026-01-24").planned == 30


@pytest.mark.django_db(transaction=True)
def test_the_sender_is_kept_off_every_waiting_mail_while_a_plan_is_made() -> None:
    factories.vehicle()
    plan("2026-01-24")
    options = connection.get_connection_params()
    wanted = {key: options[key] for key in ("dbname", "user", "host", "port") if key in options}

    with transaction.atomic():
        assert plan("2026-01-24").planned == 0
        with (
            psycopg.connect(**wanted, options="-c lock_timeout=100ms") as other,
            pytest.raises(psycopg.errors.LockNotAvailable),
        ):
            other.execute("SELECT id FROM outbox_mail WHERE state = 'planned' FOR UPDATE")


def test_the_state_of_a_year_is_paid_pending_or_unpaid() -> None:
    paid, pending, void, untouched = (factories.vehicle() for _ in range(4))
    factories.paid(paid, 2026)
    factories.paid(pending, 2026, status="pending")
    factories.paid(void, 2026, status="cancelled")
    factories.paid(untouched, 2025)

    states = payment_states(
        vehicle_ids=[each.pk for each in (paid, pending, void, untouched)], fiscal_year=2026
    )

    assert states == {
        paid.pk: PaymentState.PAID,
        pending.pk: PaymentState.PENDING,
        void.pk: PaymentState.UNPAID,
        untouched.pk: PaymentState.UNPAID,
    }


def test_arrears_are_the_unpaid_ones_of_the_last_three_years_at_each_years_tax() -> None:
    vehicle = factories.vehicle(first_circulation_on=date(2018, 6, 15))
    factories.paid(vehicle, 2024, status="cancelled")

    assert arrears(vehicles=[vehicle], before=2026) == {
        vehicle.pk: [(2023, 30_000), (2024, 30_000), (2025, 55_000)]
    }


def test_paid_and_pending_years_and_those_before_first_circulation_are_no_arrears() -> None:
    vehicle = factories.vehicle(first_circulation_on=date(2024, 6, 15))
    settled = factories.vehicle(first_circulation_on=date(2020, 6, 15))
    for year, status in ((2023, "paid"), (2024, "pending"), (2025, "paid")):
        factories.paid(settled, year, status=status)

    assert arrears(vehicles=[vehicle, settled], before=2026) == {vehicle.pk: [(2024, 30_000), (2025, 30_000)]}
