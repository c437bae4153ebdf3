"""Killed at every step and run again, the mailbox is that of an undisturbed run (docs/domain.md §2)."""

import json
from collections import Counter
from datetime import date
from typing import Any

import pytest

from core.models import Reminder
from operations.models import OperationRun
from outbox.models import Mail
from tests import factories
from tests.commands import manage
from tests.smtp import Relay, body

pytestmark = pytest.mark.django_db(transaction=True)

COMMAND = ("send_payment_reminders", "--as-of=2026-01-24T08:00:00+03:00")


def cast() -> None:
    fleet = factories.owner()
    factories.vehicle(owner=fleet)
    factories.vehicle(owner=fleet, first_circulation_on=date(2024, 1, 1))
    factories.vehicle(owner=factories.owner(language="mg"))
    factories.vehicle()
    factories.vehicle(owner=factories.owner(email=""))


def mailbox(relay: Relay) -> dict[str, tuple[str, str]]:
    return {str(mail["To"]): (str(mail["Subject"]), body(mail)) for mail in relay.mails}


def states() -> tuple[Counter[Any], Counter[Any]]:
    return (
        Counter(Reminder.objects.values_list("vehicle_id", "stage", "state")),
        Counter(Mail.objects.values_list("key", "state")),
    )


def undisturbed(relay: Relay) -> tuple[Any, Any]:
    """Run once, remember the outcome, and take it all back."""
    done = manage(*COMMAND)
    assert done.returncode == 0, done.stderr
    outcome = mailbox(relay), states()
    Reminder.objects.all().delete()
    Mail.objects.all().delete()
    OperationRun.objects.all().delete()
    relay.mails.clear()
    return outcome


@pytest.mark.parametrize(
    ("failpoint", "duplicates"),
    [
        ("core.planning=kill", 0),
        ("core.planned=kill", 0),
        ("outbox.claimed=kill", 0),
        ("outbox.delivered=kill*2", 1),
        ("outbox.recording=kill*2", 1),
        ("outbox.recorded=kill*2", 0),
        ("core.planning=drop", 0),
        ("outbox.delivered=drop", 1),
    ],
)
def test_killed_and_run_again_each_owner_has_the_mail_once(
    relay: Relay, failpoint: str, duplicates: int
) -> None:
    cast()
    expected = undisturbed(relay)

    broken = manage(*COMMAND, TAXOPS_FAILPOINTS=failpoint)
    again = manage(*COMMAND)
    after = manage(*COMMAND)

    assert broken.returncode == (75 if failpoint.endswith("drop") else -9), broken.stderr
    assert (again.returncode, after.returncode) == (0, 0), again.stderr
    assert json.loads(after.stdout.splitlines()[-1])["report"]["sent"] == 0
    assert (mailbox(relay), states()) == expected
    assert len(relay.mails) == len(expected[0]) + duplicates
    assert len({mail["Message-ID"] for mail in relay.mails}) == len(expected[0])
    runs = list(OperationRun.objects.order_by("id").values_list("state", flat=True))
    assert runs == ["failed" if failpoint.endswith("drop") else "abandoned", "succeeded", "succeeded"]
