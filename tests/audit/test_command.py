"""verify_audit_trail: the exit code says it, the message names the entries, the alert goes out once."""

import json
import subprocess
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone as clock

from operations.models import OperationRun
from outbox.models import Mail
from tests.audit import forger
from tests.commands import manage
from tests.database import contents
from tests.smtp import Relay, body

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CTX_DAG_RUN_ID", raising=False)


@pytest.fixture
def trail() -> list[forger.Row]:
    forger.write(10)
    return forger.stored()


@pytest.fixture
def tampered(trail: list[forger.Row]) -> None:
    """Entry 4 says something else, and everything else is as it was."""
    _tamper(trail, '{"n":999}')


def _tamper(trail: list[forger.Row], payload: str) -> None:
    forger.replace_table([replace(row, payload=payload) if row.sequence == 4 else row for row in trail])


def _verify(*arguments: str, **options: Any) -> dict[str, Any]:
    call_command("verify_audit_trail", *arguments, **options)
    return dict(OperationRun.objects.latest("id").report)


def _refused(*arguments: str) -> CommandError:
    with pytest.raises(CommandError) as refused:
        _verify(*arguments)
    return refused.value


def test_a_sound_trail_is_0_with_its_counts(trail: list[forger.Row], relay: Relay) -> None:
    report = _verify("--alert-on-tampering")

    assert (report["entries"], report["first"], report["last"], report["findings"]) == (10, 1, 10, [])
    assert report["head_hash"] == trail[-1].entry_hash.hex()
    assert relay.mails == []


def test_tampering_is_65_and_names_the_entry_the_kind_and_both_values(
    tampered: None, trail: list[forger.Row]
) -> None:
    run = manage("verify_audit_trail")

    expected = forger.rehashed(replace(trail[3], payload='{"n":999}')).entry_hash.hex()
    message = f"entry 4: hash: expected {expected}, found {trail[3].entry_hash.hex()}"
    assert run.returncode == 65
    assert message in run.stderr
    line = json.loads(run.stdout.splitlines()[-1])
    assert (line["exit_code"], line["report"]["findings_total"]) == (65, 1)
    assert message in line["error"]
    ledger = OperationRun.objects.get()
    assert (ledger.state, ledger.exit_code, ledger.error) == ("failed", 65, line["error"])


def test_the_first_three_are_named_and_all_are_counted(trail: list[forger.Row]) -> None:
    forger.replace_table([replace(row, actor="user:nobody") for row in trail])

    refused = _refused()

    assert str(refused).startswith("10 findings in the audit trail: entry 1: hash")
    assert "entry 3: hash" in str(refused)
    assert "entry 4" not in str(refused)


@pytest.mark.parametrize("arguments", [(), ("--alert-on-tampering", "--dry-run")])
def test_nobody_is_mailed_unasked_or_in_a_dry_run(
    tampered: None, relay: Relay, caplog: pytest.LogCaptureFixture, arguments: tuple[str, ...]
) -> None:
    assert _refused(*arguments).returncode == 65

    assert (relay.mails, Mail.objects.count()) == ([], 0)
    # Not even tried: a dry run's mail would be rolled back, but not before it failed to go out.
    assert "alert" not in caplog.text


def test_the_alert_goes_to_every_operator_once_a_day(
    tampered: None, relay: Relay, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ALERT_RECIPIENTS = ["one@revenue.example", "two@revenue.example"]

    for _ in range(3):
        assert _refused("--alert-on-tampering").returncode == 65

    assert sorted(str(mail["To"]) for mail in relay.mails) == settings.ALERT_RECIPIENTS
    mail = relay.mails[0]
    assert mail["Subject"] == "FAILED: verify_audit_trail, entry 4: hash"
    for subtype in ("plain", "html"):
        assert "entry 4: hash: expected" in body(mail, subtype)
        assert "What to do" in body(mail, subtype)
    tomorrow = clock.now() + timedelta(days=1)
    monkeypatch.setattr(clock, "now", lambda: tomorrow)
    _refused("--alert-on-tampering")
    assert len(relay.mails) == 4


def test_another_finding_on_the_same_day_is_another_alert(
    tampered: None, trail: list[forger.Row], relay: Relay
) -> None:
    _refused("--alert-on-tampering")
    _tamper(trail, '{"n":1000}')
    _refused("--alert-on-tampering")

    assert len(relay.mails) == 2


def test_inside_airflow_the_callback_alerts_and_the_command_does_not(
    tampered: None, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CTX_DAG_RUN_ID", "scheduled__2026-03-10T23:00:00+00:00")

    assert _refused("--alert-on-tampering").returncode == 65

    assert (relay.mails, Mail.objects.count()) == ([], 0)


def test_with_the_relay_away_the_alert_waits_and_the_finding_stays_a_finding(
    tampered: None, relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    relay.stop()

    assert _refused("--alert-on-tampering").returncode == 65

    assert "The alert waits in the outbox" in caplog.text
    (mail,) = Mail.objects.all()
    assert (mail.category, mail.state) == ("alert", "planned")


@pytest.mark.parametrize("recipients", [["not an address"], []])
def test_an_alert_that_cannot_even_be_stored_hides_no_finding(
    tampered: None, relay: Relay, settings: Any, recipients: list[str]
) -> None:
    settings.ALERT_RECIPIENTS = recipients

    refused = _refused("--alert-on-tampering")

    assert refused.returncode == 65
    assert "entry 4" in str(refused)


def test_what_a_forger_wrote_is_text_in_the_mail(trail: list[forger.Row], relay: Relay) -> None:
    _tamper(trail, "<script>alert(1)</script>")

    _refused("--alert-on-tampering")

    (mail,) = relay.mails
    assert "&lt;script&gt;" in body(mail, "html")
    assert "<script>" not in body(mail, "html")


@pytest.mark.parametrize(
    ("arguments", "verified"),
    [(["--from=3"], (8, 3, 10)), (["--from=3", "--to=5"], (3, 3, 5)), (["--to=10"], (10, 1, 10))],
)
def test_a_range_starts_from_the_entry_before_it(
    trail: list[forger.Row], arguments: list[str], verified: tuple[int, ...]
) -> None:
    report = _verify(*arguments)

    assert (report["entries"], report["first"], report["last"]) == verified


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["--from=0"], "--from"),
        (["--from=5", "--to=4"], "--to"),
        (["--from=11"], "--from"),
        (["--to=x"], "--to"),
    ],
)
def test_a_range_that_is_none_is_64_with_the_option_named(
    trail: list[forger.Row], arguments: list[str], field: str
) -> None:
    refused = _refused(*arguments)

    assert refused.returncode == 64
    assert field in str(refused)


def test_a_range_of_the_cut_tail_is_a_finding_not_a_wrong_option(trail: list[forger.Row]) -> None:
    forger.replace_table(trail[:7])

    assert _refused("--from=9").returncode == 65


def _outcome(run: subprocess.CompletedProcess[str]) -> tuple[int, str]:
    return run.returncode, json.loads(run.stdout.splitlines()[-1])["error"]


def test_a_connection_lost_on_the_way_is_75_never_sound(trail: list[forger.Row]) -> None:
    code, error = _outcome(manage("verify_audit_trail", TAXOPS_FAILPOINTS="audit.verify.rows=drop"))

    assert code == 75
    assert "database is not available" in error
    ledger = OperationRun.objects.get()
    assert (ledger.state, ledger.exit_code) == ("failed", 75)


def test_no_database_at_all_is_75(tmp_path: Any) -> None:
    url = f"postgresql://nobody@/nothing?host={tmp_path}"

    code, error = _outcome(manage("verify_audit_trail", TAXOPS_DATABASE_URL=url))

    assert code == 75
    assert "database is not available" in error


def test_it_changes_nothing_but_its_ledger_row(trail: list[forger.Row]) -> None:
    before = contents(but=("operations.OperationRun",))

    _verify()
    _verify("--dry-run")

    assert contents(but=("operations.OperationRun",)) == before
    assert [run.dry_run for run in OperationRun.objects.order_by("id")] == [False, True]
