"""Owners and vehicles are kept in the admin; payments, reminders and mails are only read there."""

from datetime import date

import pytest
from django.test import Client
from django.utils import timezone

from core.models import Owner, Reminder, Vehicle
from core.planning import plan_reminders
from outbox.models import Mail
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def clerk(client: Client) -> Client:
    user = factories.user("vola", is_superuser=True)
    client.force_login(user)
    return client


@pytest.fixture
def records() -> dict[str, int]:
    vehicle = factories.vehicle()
    payment = factories.paid(vehicle, 2025)
    plan_reminders(day=date(2026, 2, 7), planned_at=timezone.now())
    return {
        "core/owner": vehicle.owner.pk,
        "core/vehicle": vehicle.pk,
        "core/taxpayment": payment.pk,
        "core/reminder": Reminder.objects.get().pk,
        "outbox/mail": Mail.objects.get().pk,
    }


@pytest.mark.parametrize(
    "page", ["core/owner", "core/vehicle", "core/taxpayment", "core/reminder", "outbox/mail"]
)
def test_every_list_and_every_record_can_be_read(clerk: Client, records: dict[str, int], page: str) -> None:
    assert clerk.get(f"/admin/{page}/").status_code == 200
    assert clerk.get(f"/admin/{page}/{records[page]}/change/").status_code == 200


@pytest.mark.parametrize("page", ["core/taxpayment", "core/reminder", "outbox/mail"])
def test_records_can_be_neither_added_nor_changed_nor_deleted(
    clerk: Client, records: dict[str, int], page: str
) -> None:
    assert clerk.get(f"/admin/{page}/add/").status_code == 403
    assert clerk.post(f"/admin/{page}/{records[page]}/change/", {"state": "sent"}).status_code == 403
    assert clerk.post(f"/admin/{page}/{records[page]}/delete/", {"post": "yes"}).status_code == 403


def test_an_owner_and_a_vehicle_can_be_edited(clerk: Client, records: dict[str, int]) -> None:
    owner = Owner.objects.get(pk=records["core/owner"])

    clerk.post(
        f"/admin/core/owner/{owner.pk}/change/",
        {"name": "Rasoa R.", "email": "r@owners.example", "phone": "", "language": "mg"},
    )
    clerk.post(
        f"/admin/core/vehicle/{records['core/vehicle']}/change/",
        {
            "plate": "1TBA",
            "owner": owner.pk,
            "kind": "land",
            "category": "ambulance",
            "energy": "diesel",
            "power_cv": 9,
            "first_circulation_on": "15/06/2020",
        },
    )

    owner.refresh_from_db()
    vehicle = Vehicle.objects.get(pk=records["core/vehicle"])
    assert (owner.name, owner.language) == ("Rasoa R.", "mg")
    assert (vehicle.plate, vehicle.category, vehicle.active) == ("1TBA", "ambulance", False)


def test_the_office_finds_the_owners_that_no_reminder_reaches(clerk: Client) -> None:
    today = timezone.localdate()
    silent = factories.owner(name="Silent", email="")
    factories.vehicle(owner=silent)
    factories.vehicle(owner=factories.owner(name="Reached"))
    factories.owner(name="Owes nothing", email="")
    plan_reminders(day=today, planned_at=timezone.now())

    missed = clerk.get("/admin/core/owner/?reach=missed").content.decode()
    none = clerk.get("/admin/core/owner/?reach=none").content.decode()

    assert ("Silent" in missed, "Reached" in missed, "Owes nothing" in missed) == (True, False, False)
    assert ("Silent" in none, "Reached" in none, "Owes nothing" in none) == (True, False, True)
