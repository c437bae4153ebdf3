"""The trail in the admin: found and read, changed by nobody."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone as clock

from audit.models import AuditEntry
from audit.record import instant
from audit.services import append_entry
from tests import factories

pytestmark = pytest.mark.django_db
URL = "/admin/audit/auditentry/"


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> AuditEntry:
    """Written on 10 March at 23:30 in Antananarivo, when it is 20:30 in UTC."""
    monkeypatch.setattr(clock, "now", lambda: instant(1_773_174_600_000_000))
    fields = {"actor": "user:hery", "action": "tests.thing.done", "subject_type": "tests.thing"}
    append_entry(**fields, subject_id="T-2", payload={})
    return append_entry(**fields, subject_id="T-1", payload={"text": "<script>"})


@pytest.fixture
def superuser() -> Client:
    user = factories.user("vola", is_superuser=True)
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("words", ["T-1", "tests.thing.done T-1"])
def test_entries_are_found_by_subject_and_action_with_their_local_time(
    entry: AuditEntry, superuser: Client, words: str
) -> None:
    page = superuser.get(URL, {"q": words}).content.decode()

    assert "T-1" in page
    assert "T-2" not in page
    assert "10 mars 2026 23:30" in page


def test_an_entry_shows_its_payload_as_text_and_its_hashes(entry: AuditEntry, superuser: Client) -> None:
    page = superuser.get(f"{URL}{entry.sequence}/change/").content.decode()

    assert "&lt;script&gt;" in page
    assert bytes(entry.entry_hash).hex() in page
    assert bytes(entry.previous_hash).hex() in page
    assert 'name="_save"' not in page


def test_not_even_a_superuser_adds_changes_or_deletes(entry: AuditEntry, superuser: Client) -> None:
    change = f"{URL}{entry.sequence}/change/"
    before = list(AuditEntry.objects.values())

    assert superuser.get(f"{URL}add/").status_code == 403
    assert superuser.post(f"{URL}add/", {"actor": "x"}).status_code == 403
    assert superuser.post(change, {"payload": "{}"}).status_code == 403
    assert superuser.post(f"{URL}{entry.sequence}/delete/", {"post": "yes"}).status_code == 403
    superuser.post(URL, {"action": "delete_selected", "_selected_action": [entry.sequence], "post": "yes"})

    assert list(AuditEntry.objects.values()) == before


def test_staff_see_the_trail_only_with_the_permission_to(entry: AuditEntry, client: Client) -> None:
    user = factories.user("soa")
    client.force_login(user)
    assert client.get(URL).status_code == 403

    user.user_permissions.add(Permission.objects.get(codename="view_auditentry"))

    assert client.get(URL).status_code == 200
