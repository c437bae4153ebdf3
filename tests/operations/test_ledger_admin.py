"""The ledger in the admin: every run to see, none to change."""

import pytest
from django.core.management import call_command
from django.test import Client

from operations.models import OperationRun
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(factories.user("chief", is_superuser=True))
    return client


def test_a_run_by_hand_is_shown_and_can_not_be_edited(admin: Client) -> None:
    call_command("verify_audit_trail")
    run = OperationRun.objects.get()

    page = admin.get("/admin/operations/operationrun/")
    detail = admin.get(f"/admin/operations/operationrun/{run.pk}/change/")

    assert "verify_audit_trail" in page.content.decode()
    assert 'name="_save"' not in detail.content.decode()
    for path in ("add/", f"{run.pk}/delete/"):
        assert admin.post(f"/admin/operations/operationrun/{path}").status_code == 403
    assert (
        admin.post(f"/admin/operations/operationrun/{run.pk}/change/", {"state": "failed"}).status_code == 403
    )
