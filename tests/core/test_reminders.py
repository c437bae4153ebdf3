"""Payment reminders, from the vehicles to the mailbox (docs/domain.md §2)."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from core.models import Reminder, Vehicle
from core.services import ReminderReport, reminders_send
from operations.models import OperationRun
from outbox.models import Mail
from tests import factories
from tests.database import contents
from tests.smtp import Relay, body

pytestmark = pytest.mark.django_db(transaction=True)


def morning(day: str) -> datetime:
    """08:00 in Antananarivo."""
    return datetime.fromisoformat(f"{day}T08:00:00+03:00")


def run(day: str, **options: Any) -> None:
    call_command("send_payment_reminders", f"--as-of={morning(day).isoformat()}", **options)


def last_report() -> dict[str, Any]:
    return OperationRun.objects.latest("id").report


def test_the_owner_of_an_unpaid_vehicle_gets_the_mail(relay: Relay) -> None:
    vehicle = factories.vehicle(owner=factories.owner(name="Rasoa", email="rasoa@owners.example"))

    run("2026-01-24")

    (mail,) = relay.mails
    assert mail["To"] == "rasoa@owners.example"
    assert mail["Subject"].strip() == "Taxe sur les véhicules : 1 véhicule à payer"
    for kind in ("plain", "html"):
        assert vehicle.plate in body(mail, kind)
        assert "30\u202f000\xa0Ar" in body(mail, kind)
        assert "31\xa0janvier\xa02026" in body(mail, kind)
    (reminder,) = Reminder.objects.all()
    assert (reminder.stage, reminder.state) == ("due-7", "sent")
    assert {key: last_report()[key] for key in ("planned", "mails", "sent", "left")} == {
        "planned": 1,
        "mails": 1,
        "sent": 1,
        "left": 0,
    }


def test_a_second_run_on_the_same_day_changes_and_sends_nothing(relay: Relay) -> None:
    for _ in range(3):
        factories.vehicle()
    run("2026-01-24")
    once = contents(but=("operations.OperationRun",))

    run("2026-01-24")

    assert contents(but=("operations.OperationRun",)) == once
    assert len(relay.mails) == 3
    assert (last_report()["planned"], last_report()["sent"]) == (0, 0)


def test_the_days_between_two_stages_bring_no_mail(relay: Relay) -> None:
    factories.vehicle()

    for day in ("2026-01-24", "2026-01-25", "2026-01-30", "2026-01-31", "2026-02-01"):
        run(day)

    assert len(relay.mails) == 2
    assert [reminder.stage for reminder in Reminder.objects.order_by("stage_on")] == ["due-7", "due+0"]


def test_nothing_to_do_is_a_success_with_noughts(relay: Relay) -> None:
    run("2026-01-24")

    assert (last_report()["planned"], last_report()["sent"], last_report()["warnings"]) == (0, 0, [])


def test_a_dry_run_leaves_every_table_as_it_was_and_tells_what_it_would_do(relay: Relay) -> None:
    factories.vehicle()
    factories.vehicle(owner=factories.owner(email=""))
    before = contents(but=("operations.OperationRun",))

    run("2026-01-24", dry_run=True)

    assert contents(but=("operations.OperationRun",)) == before
    assert relay.mails == []
    report = last_report()
    assert (report["planned"], report["mails"], report["without_address"]) == (1, 1, 1)
    assert (report["sent"], report["left"]) == (0, 1)


def test_one_mail_lists_all_of_an_owners_vehicles_due_with_arrears_and_total(relay: Relay) -> None:
    fleet = factories.owner()
    old = factories.vehicle(owner=fleet, plate="1234TBA", first_circulation_on=date(2024, 3, 1))
    factories.vehicle(owner=fleet, plate="2345TBA", first_circulation_on=date(2025, 3, 1), energy="diesel")
    settled = factories.vehicle(owner=fleet, plate="3456TBA", first_circulation_on=date(2025, 3, 1))
    factories.paid(settled, 2026)
    factories.paid(old, 2024)
    other = factories.vehicle(plate="9999TBA")

    run("2026-01-31")

    (mail,) = relay.to(fleet.email)
    due, older = body(mail).split("Arriérés")
    assert "1234TBA : 30\u202f000\xa0Ar" in due
    assert "2345TBA : 40\u202f000\xa0Ar" in due
    assert "3456TBA" not in due
    # A year has no mail of its own once it is over, but the owner's next mail names it.
    assert "3456TBA : 30\u202f000\xa0Ar" in older
    assert "1234TBA : 30\u202f000\xa0Ar" in older
    assert "Impayé : 2025" in older
    assert "Total : 170\u202f000\xa0Ar" in older
    assert other.plate not in body(mail)
    assert len(relay.mails) == 2


def test_older_years_alone_are_never_a_mail(relay: Relay) -> None:
    vehicle = factories.vehicle()
    factories.paid(vehicle, 2026)

    run("2026-03-02")

    assert relay.mails == []


def test_an_owner_reads_malagasy_with_malagasy_months(relay: Relay) -> None:
    factories.vehicle(owner=factories.owner(language="mg"), first_circulation_on=date(2026, 8, 1))

    run("2026-08-01")

    (mail,) = relay.mails
    assert mail["Subject"].strip() == "Hetra amin’ny fiara: fiara 1 tokony handoavana"
    assert "1\xa0Aogositra\xa02026" in body(mail)
    assert '<html lang="mg">' in body(mail, "html")
    for french in ("Bonjour", "taxe", "véhicule", "payer", "Message automatique"):
        assert french not in body(mail)
        assert french not in body(mail, "html")


def test_the_first_of_a_month_is_premier_in_french(relay: Relay) -> None:
    factories.vehicle(first_circulation_on=date(2026, 8, 1))

    run("2026-08-01")

    assert "1er\xa0août\xa02026" in body(relay.mails[0])


def test_next_years_mail_says_that_it_can_already_be_paid(relay: Relay) -> None:
    factories.paid(factories.vehicle(first_circulation_on=date(2026, 2, 1)), 2026)

    run("2026-12-01")

    assert "peut déjà être payée" in body(relay.mails[0])
    assert "31\xa0janvier\xa02027" in body(relay.mails[0])
    assert "Arriérés" not in body(relay.mails[0])


def test_a_name_can_neither_add_markup_nor_headers(relay: Relay) -> None:
    name = "<script>alert(1)</script>\r\nBcc: all@owners.example {{ 7 }}"
    factories.vehicle(owner=factories.owner(name=name))

    run("2026-01-24")

    (mail,) = relay.mails
    assert "<script>" not in body(mail, "html")
    assert "&lt;script&gt;" in body(mail, "html")
    assert "{{ 7 }}" in body(mail)
    assert mail["Bcc"] is None


def _pay(vehicle: Vehicle) -> None:
    factories.paid(vehicle, 2026)


def _pay_pending(vehicle: Vehicle) -> None:
    factories.paid(vehicle, 2026, status="pending")


def _exempt(vehicle: Vehicle) -> None:
    Vehicle.objects.filter(pk=vehicle.pk).update(category="ambulance")


def _deactivate(vehicle: Vehicle) -> None:
    Vehicle.objects.filter(pk=vehicle.pk).update(active=False)


def _sell(vehicle: Vehicle) -> None:
    Vehicle.objects.filter(pk=vehicle.pk).update(owner=factories.owner())


@pytest.mark.parametrize("change", [_pay, _pay_pending, _exempt, _deactivate, _sell])
def test_a_reminder_that_lost_its_reason_while_waiting_is_withdrawn_and_counted(
    relay: Relay, settings: Any, change: Any
) -> None:
    owner = factories.owner()
    changed, stays = factories.vehicle(owner=owner), factories.vehicle(owner=owner)
    alone = factories.vehicle()
    relay.stop()
    with pytest.raises(CommandError):
        run("2026-01-24")
    change(changed)
    change(alone)

    relay = _back(relay, settings)
    run("2026-01-25")

    (mail,) = relay.mails
    assert stays.plate in body(mail)
    assert changed.plate not in body(mail).split("Arriérés")[0]
    assert (last_report()["withdrawn"], last_report()["sent"], last_report()["left"]) == (2, 1, 0)
    states = {row.vehicle_id: row.state for row in Reminder.objects.all()}
    assert states == {changed.pk: "withdrawn", alone.pk: "withdrawn", stays.pk: "sent"}
    assert sorted(Mail.objects.values_list("state", flat=True)) == ["sent", "withdrawn"]


def _back(relay: Relay, settings: Any) -> Relay:
    """The relay is up again, on another port."""
    again = Relay()
    again.start()
    relay.__dict__.update(again.__dict__)
    settings.EMAIL_PORT = again.port
    return relay


def test_an_address_changed_while_waiting_is_used(relay: Relay, settings: Any) -> None:
    owner = factories.owner(email="old@owners.example")
    factories.vehicle(owner=owner)
    relay.stop()
    with pytest.raises(CommandError):
        run("2026-01-24")
    owner.email = "new@owners.example"
    owner.save()

    run_again = _back(relay, settings)
    run("2026-01-24")

    assert [mail["To"] for mail in run_again.mails] == ["new@owners.example"]
    assert Mail.objects.get().recipient == "new@owners.example"


def test_a_dead_relay_is_75_and_the_plan_stands_until_it_is_back(relay: Relay, settings: Any) -> None:
    factories.vehicle()
    relay.stop()

    with pytest.raises(CommandError) as outcome:
        run("2026-01-24")

    assert outcome.value.returncode == 75
    assert (last_report()["planned"], last_report()["sent"], last_report()["left"]) == (1, 0, 1)
    assert OperationRun.objects.latest("id").state == "failed"
    relay = _back(relay, settings)
    run("2026-01-24")
    assert len(relay.mails) == 1
    assert OperationRun.objects.latest("id").state == "succeeded"


def test_a_refused_recipient_is_marked_and_reported_and_the_others_get_theirs(relay: Relay) -> None:
    refused, other = factories.vehicle(), factories.vehicle()
    relay.at_recipient = lambda address: "550 no such user" if address == refused.owner.email else None

    run("2026-01-24")
    run("2026-01-25")

    assert [mail["To"] for mail in relay.mails] == [other.owner.email]
    reminder = Reminder.objects.get(vehicle=refused)
    assert (reminder.state, reminder.reason) == ("unreachable", "refused by the relay")
    first = OperationRun.objects.order_by("id").first()
    assert first is not None
    assert (first.exit_code, first.report["refused"], first.report["sent"]) == (0, 1, 1)
    assert "refused" in first.report["warnings"][0]


def test_an_import_with_an_address_that_is_none_harms_nobody(relay: Relay) -> None:
    factories.vehicle(owner=factories.owner(email="a@b.example\r\nBcc: c@d.example"))
    factories.vehicle(owner=factories.owner(email="élo@owners.example"))
    good = factories.vehicle()

    run("2026-01-24")

    assert [mail["To"] for mail in relay.mails] == [good.owner.email]
    assert (last_report()["refused"], last_report()["sent"]) == (2, 1)


def test_owners_without_an_address_are_counted_and_listed_also_when_run_again(relay: Relay) -> None:
    silent = factories.owner(email="")
    factories.vehicle(owner=silent)
    factories.vehicle(owner=silent)

    for _ in range(2):
        run("2026-01-24")

        assert (last_report()["without_address"], last_report()["owners_without_address"]) == (1, [silent.pk])
    assert relay.mails == []


def test_the_hours_budget_is_kept_the_rest_waits_and_the_nearest_due_date_goes_first(
    relay: Relay, settings: Any
) -> None:
    settings.MAIL_BUDGET_PER_HOUR, settings.MAIL_RESERVED_FOR_ALERTS = 5, 2
    late = [factories.vehicle(first_circulation_on=date(2026, 3, 2)) for _ in range(3)]
    early = [factories.vehicle() for _ in range(2)]

    run("2026-03-02")

    assert {mail["To"] for mail in relay.mails[:2]} == {each.owner.email for each in early}
    assert relay.mails[2]["To"] == late[0].owner.email
    assert (last_report()["sent"], last_report()["left"], last_report()["hours_needed"]) == (3, 2, 1)
    run("2026-03-02")
    assert len(relay.mails) == 3
    Mail.objects.filter(state="sent").update(claimed_at=datetime.now(UTC) - timedelta(minutes=61))
    run("2026-03-02")
    assert len(relay.mails) == 5


@pytest.mark.parametrize(("hours", "warned"), [(12, 0), (13, 1)])
def test_a_plan_that_cannot_go_out_before_its_next_stage_is_warned_of(
    db: None, settings: Any, hours: int, warned: int
) -> None:
    # 30 January at 08:00: twelve hours of sending until 20:00, and the next stage is tomorrow's.
    settings.MAIL_BUDGET_PER_HOUR, settings.MAIL_RESERVED_FOR_ALERTS = 3, 1
    for number in range(2 * hours):
        factories.vehicle(plate=f"{number + 1}ZZ")

    report = dry(morning("2026-01-30"))

    assert len(report.warnings) == warned
    if warned:
        assert report.warnings[0] == (
            "26 mails planned need 13 hours of sending at 2 an hour, "
            "but only 12 are left before the next stage on 2026-01-31."
        )


def dry(as_of: datetime) -> ReminderReport:
    from django.db import transaction

    with transaction.atomic():
        report = reminders_send(as_of=as_of, dry_run=True)
        transaction.set_rollback(True)
    return report


def test_the_report_counts_the_arrears_of_what_it_planned(relay: Relay) -> None:
    old = factories.vehicle(first_circulation_on=date(2012, 6, 15))
    factories.paid(old, 2022)
    factories.paid(old, 2023)
    factories.paid(old, 2024, status="cancelled")
    factories.vehicle(first_circulation_on=date(2025, 6, 15))

    run("2026-01-24")

    assert last_report()["arrears"] == 3


def test_days_are_local_ones(relay: Relay) -> None:
    factories.vehicle()

    call_command("send_payment_reminders", "--as-of=2026-01-23T20:59:59+00:00")
    assert [reminder.stage for reminder in Reminder.objects.all()] == ["due-30"]

    call_command("send_payment_reminders", "--as-of=2026-01-23T21:00:00+00:00")
    assert Reminder.objects.filter(stage="due-7").count() == 1
