"""Sending what waits: order, budget, the relay's answers, and each mail once (docs/domain.md §2)."""

import smtplib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from operations.models import OperationRun
from outbox import registry
from outbox.models import Mail
from outbox.registry import Rendered, Withdrawn
from outbox.sending import RelayUnavailable, send_due
from outbox.services import AddressRefused, queue_mail
from tests.database import contents
from tests.smtp import Relay, body

pytestmark = pytest.mark.django_db(transaction=True)


def queue(name: str, *, category: str = "notice", due_on: date | None = None, **changes: Any) -> Mail:
    values = {"subject": name, "text": f"text {name}", "html": f"<p>{name}</p>"} | changes
    queue_mail(key=name, recipient=f"{name}@people.example", category=category, due_on=due_on, **values)
    return Mail.objects.get(key=name)


def subjects(relay: Relay) -> list[str]:
    return [str(mail["Subject"]).strip() for mail in relay.mails]


def states() -> dict[str, str]:
    return dict(Mail.objects.values_list("key", "state"))


def test_a_mail_is_stored_once_for_its_key_and_sent_once(relay: Relay) -> None:
    first = queue("rasoa", subject="one")

    again = queue_mail(
        key="rasoa", recipient="r@p.example", subject="two", text="", html="", category="notice"
    )
    send_due()
    send_due()

    assert again is False
    assert subjects(relay) == ["one"]
    assert relay.mails[0]["Message-ID"] == first.message_id
    assert (body(relay.mails[0]).strip(), body(relay.mails[0], "html").strip()) == (
        "text rasoa",
        "<p>rasoa</p>",
    )


def test_a_mail_of_a_transaction_that_rolled_back_was_never_there(relay: Relay) -> None:
    with transaction.atomic():
        queue("rasoa")
        transaction.set_rollback(True)

    assert send_due().sent == 0


@pytest.mark.parametrize(
    "recipient", ["", "rasoa", "a@b.example\r\nBcc: c@d.example", "a@b.example, c@d.example"]
)
def test_what_is_no_address_is_refused_before_it_is_stored(recipient: str) -> None:
    with pytest.raises(AddressRefused):
        queue_mail(key="k", recipient=recipient, subject="", text="", html="", category="notice")

    assert Mail.objects.count() == 0


def test_a_subject_with_line_breaks_adds_no_header(relay: Relay) -> None:
    queue("rasoa", subject="Hello\r\nBcc: everyone@people.example\n\nbody")
    Mail.objects.update(subject="Hello\r\nBcc: everyone@people.example\n\nbody")

    send_due()

    assert subjects(relay) == ["Hello Bcc: everyone@people.example body"]
    assert relay.mails[0]["Bcc"] is None


def test_alerts_go_first_then_notices_then_the_nearest_due_date(relay: Relay) -> None:
    queue("later", category="reminder", due_on=date(2026, 2, 1))
    queue("sooner", category="reminder", due_on=date(2026, 1, 31))
    queue("notice")
    queue("alert", category="alert")

    send_due()

    assert subjects(relay) == ["alert", "notice", "sooner", "later"]


def test_an_alert_overtakes_a_whole_batch_of_notices_queued_before_it(relay: Relay) -> None:
    for number in range(51):
        queue(f"notice{number}")
    queue("alert", category="alert")

    send_due()

    assert subjects(relay)[0] == "alert"
    assert len(relay.mails) == 52


def test_the_budget_counts_every_mail_of_the_hour_and_keeps_a_share_for_alerts(
    relay: Relay, settings: Any
) -> None:
    settings.MAIL_BUDGET_PER_HOUR, settings.MAIL_RESERVED_FOR_ALERTS = 5, 2
    for number in range(4):
        queue(f"reminder{number}", category="reminder")

    first = send_due()
    for number in range(3):
        queue(f"alert{number}", category="alert")
    second = send_due()

    assert (first.sent, first.left, first.hours_needed) == (3, 1, 1)
    assert (second.sent, second.left) == (2, 2)
    assert subjects(relay) == ["reminder0", "reminder1", "reminder2", "alert0", "alert1"]


def test_the_hour_rolls_and_no_limit_means_none(relay: Relay, settings: Any) -> None:
    settings.MAIL_BUDGET_PER_HOUR, settings.MAIL_RESERVED_FOR_ALERTS = 2, 1
    for name in ("one", "two", "three"):
        queue(name)
    send_due()
    Mail.objects.filter(state="sent").update(claimed_at=timezone.now() - timedelta(minutes=59))
    assert send_due().sent == 0

    Mail.objects.filter(state="sent").update(claimed_at=timezone.now() - timedelta(minutes=60, seconds=1))
    assert send_due().sent == 1

    settings.MAIL_BUDGET_PER_HOUR = 0
    assert send_due().sent == 1


def test_only_the_categories_asked_for_are_sent(relay: Relay) -> None:
    queue("alert", category="alert")
    queue("notice")

    send_due(categories=["alert"])

    assert subjects(relay) == ["alert"]


def test_many_mails_use_one_connection(relay: Relay) -> None:
    for number in range(60):
        queue(f"mail{number}")
    opened = []
    seen = smtplib.SMTP.connect

    def connect(self: smtplib.SMTP, *arguments: Any, **options: Any) -> Any:
        opened.append(1)
        return seen(self, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smtplib.SMTP, "connect", connect)
        report = send_due()

    assert (report.sent, len(relay.mails), len(opened)) == (60, 60, 1)


def test_a_refused_recipient_is_marked_and_the_others_are_sent(relay: Relay) -> None:
    for name in ("one", "two", "three"):
        queue(name)
    relay.at_recipient = lambda address: "550 no such user" if address.startswith("two") else None

    report = send_due()
    send_due()

    assert (report.sent, report.refused, report.left) == (2, 1, 0)
    assert states() == {"one": "sent", "two": "refused", "three": "sent"}
    assert Mail.objects.get(key="two").error == "550 no such user"


def test_a_content_refused_at_its_end_is_that_mails_alone(relay: Relay) -> None:
    queue("one")
    queue("two")
    relay.at_data = lambda address: "554 looks like spam" if address.startswith("one") else None

    send_due()

    assert states() == {"one": "refused", "two": "sent"}


@pytest.mark.parametrize("step", ["at_recipient", "at_data"])
def test_a_450_makes_that_mail_wait_ever_longer_and_no_other(relay: Relay, step: str) -> None:
    waiting = queue("one")
    queue("two")
    setattr(relay, step, lambda address: "450 greylisted" if address.startswith("one") else None)

    first = send_due()

    assert (first.sent, first.deferred, first.left) == (1, 1, 1)
    waiting.refresh_from_db()
    assert waiting.state == "planned"
    assert timedelta(minutes=4) < waiting.not_before - timezone.now() < timedelta(minutes=6)
    assert send_due().deferred == 0
    Mail.objects.update(not_before=timezone.now())
    send_due()
    waiting.refresh_from_db()
    assert timedelta(minutes=9) < waiting.not_before - timezone.now() < timedelta(minutes=11)
    setattr(relay, step, lambda _: None)
    Mail.objects.update(not_before=timezone.now(), attempts=500)
    send_due()
    assert [mail["Message-ID"] for mail in relay.to("one@")] == [waiting.message_id]


def test_one_421_is_met_on_a_new_connection(relay: Relay) -> None:
    for name in ("one", "two", "three"):
        queue(name)
    relay.at_recipient = lambda address: "421 too many on this line" if address.startswith("one") else None

    report = send_due()

    assert (report.sent, report.deferred) == (2, 1)
    assert states() == {"one": "planned", "two": "sent", "three": "sent"}


def test_two_421_in_a_row_end_the_run_and_cost_the_budget_only_what_was_tried(relay: Relay) -> None:
    for name in ("one", "two", "three"):
        queue(name)
    relay.at_recipient = lambda _: "421 going down"

    with pytest.raises(RelayUnavailable) as outcome:
        send_due()

    assert (outcome.value.report.sent, outcome.value.report.left) == (0, 3)
    assert set(states().values()) == {"planned"}
    assert Mail.objects.filter(claimed_at=None).count() == 1


def test_a_relay_that_refuses_our_own_address_refuses_no_recipient(relay: Relay) -> None:
    queue("one")

    relay.at_sender = lambda _: "550 you may not send"

    with pytest.raises(RelayUnavailable, match="550"):
        send_due()

    assert states() == {"one": "planned"}


def test_a_dead_relay_leaves_everything_waiting_and_the_command_says_75(relay: Relay) -> None:
    queue("one")
    relay.stop()

    with pytest.raises(CommandError) as outcome:
        call_command("send_outbox")

    assert outcome.value.returncode == 75
    assert Mail.objects.get().state == "planned"
    assert Mail.objects.get().not_before <= timezone.now()
    run = OperationRun.objects.get()
    assert (run.state, run.exit_code, run.report["left"]) == ("failed", 75, 1)


def test_a_dry_run_counts_and_changes_nothing(relay: Relay) -> None:
    queue("one")
    before = contents(but=("operations.OperationRun",))

    call_command("send_outbox", dry_run=True)

    assert contents(but=("operations.OperationRun",)) == before
    assert relay.mails == []
    assert OperationRun.objects.get().report["left"] == 1


def test_a_claim_whose_sender_died_is_sent_with_its_message_id(relay: Relay) -> None:
    mail = queue("one")
    Mail.objects.update(state="claimed", attempts=1, claimed_at=datetime(2026, 1, 1, tzinfo=UTC))

    send_due()

    assert [sent["Message-ID"] for sent in relay.mails] == [mail.message_id]
    assert states() == {"one": "sent"}


def test_a_second_sender_leaves_the_work_to_the_first(relay: Relay) -> None:
    queue("one")
    options = connection.get_connection_params()
    wanted = {key: options[key] for key in ("dbname", "user", "host", "port") if key in options}
    with psycopg.connect(**wanted) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended('outbox:sending', 0))")

        report = send_due()

        assert (report.busy, report.sent, report.left) == (True, 0, 1)
    assert send_due().sent == 1


def test_mails_are_sent_outside_a_transaction_only(db: None) -> None:
    with transaction.atomic(), pytest.raises(transaction.TransactionManagementError):
        send_due()


class _Picky:
    """Withdraws one, chokes on another, and remembers what became of the mails."""

    seen: list[tuple[str, str]] = []

    def render(self, mails: Sequence[Mail]) -> Mapping[int, Rendered | Withdrawn]:
        if any(mail.key == "poison" for mail in mails):
            raise ValueError("poison")
        return {
            mail.pk: Withdrawn("paid") if mail.key == "paid" else Rendered(mail.key, "t", "<p>t</p>")
            for mail in mails
        }

    def settled(self, mail: Mail) -> None:
        assert connection.in_atomic_block
        self.seen.append((mail.key, mail.state))


@pytest.fixture
def picky() -> Any:
    _Picky.seen = []
    registry.register("picky", _Picky)
    yield _Picky
    del registry._renderers["picky"]


def test_a_mail_without_reason_is_withdrawn_and_its_share_of_the_budget_given_back(
    relay: Relay, picky: type[_Picky]
) -> None:
    queue("paid")
    queue("due")
    Mail.objects.update(kind="picky")

    report = send_due()

    assert (report.sent, report.withdrawn) == (1, 1)
    assert sorted(picky.seen) == [("due", "sent"), ("paid", "withdrawn")]
    withdrawn = Mail.objects.get(key="paid")
    assert (withdrawn.error, withdrawn.claimed_at) == ("paid", None)


def test_one_mail_that_cannot_be_written_is_named_and_waits_and_the_others_go(
    relay: Relay, picky: type[_Picky]
) -> None:
    for name in ("one", "poison", "two"):
        queue(name)
    Mail.objects.update(kind="picky")

    with pytest.raises(CommandError) as outcome:
        call_command("send_outbox")

    assert outcome.value.returncode == 65
    assert f"outbox.mail:{Mail.objects.get(key='poison').pk}" in str(outcome.value)
    assert states() == {"one": "sent", "poison": "planned", "two": "sent"}
    assert Mail.objects.get(key="poison").not_before > timezone.now()


def test_what_its_app_notes_is_recorded_with_the_mail_or_not_at_all(
    relay: Relay, picky: type[_Picky]
) -> None:
    queue("due")
    Mail.objects.update(kind="picky")

    def broken(self: _Picky, mail: Mail) -> None:
        raise RuntimeError("no")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Picky, "settled", broken)
        with pytest.raises(RuntimeError):
            send_due()
    assert states() == {"due": "claimed"}

    send_due()

    assert states() == {"due": "sent"}
    assert len({mail["Message-ID"] for mail in relay.mails}) == 1
