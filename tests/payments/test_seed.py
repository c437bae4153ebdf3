"""Demo data: the same arguments, the same rows; and the services' rules are kept."""

from datetime import date

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from audit.verification import verify_trail
from core.models import Owner, TaxPayment, Vehicle
from payments.models import CashSession, CashTransaction
from payments.seed.services import demo_seed
from tests import factories
from tests.database import contents

pytestmark = pytest.mark.django_db
AS_OF = date(2026, 11, 24)


class _Undone(Exception):
    """Takes a seeding back, so that it can be done again."""


def _seeded(**changes: object) -> dict[str, object]:
    """Seed, look at everything but primary keys, and take it back."""
    found: dict[str, object] = {}
    try:
        with transaction.atomic():
            demo_seed(**{"vehicles": 200, "agents": 6, "months": 4, "as_of": AS_OF, "seed": 3, **changes})  # type: ignore[arg-type]
            found["entries"] = contents()["audit.AuditEntry"]
            found["plates"] = list(Vehicle.objects.order_by("id").values_list("plate", "owner__name"))
            found["numbers"] = list(
                CashTransaction.objects.order_by("id").values_list("number", "posted_at", "tax")
            )
            raise _Undone
    except _Undone:
        return found


def test_the_same_arguments_give_the_same_rows_and_another_seed_others() -> None:
    assert _seeded() == _seeded()
    assert _seeded()["plates"] != _seeded(seed=4)["plates"]


def test_it_has_what_a_demonstration_needs_and_the_trail_is_sound() -> None:
    demo_seed(vehicles=600, agents=12, months=12, as_of=AS_OF, seed=1)

    assert verify_trail().findings == ()
    assert set(Owner.objects.values_list("language", flat=True)) == {"fr", "mg"}
    assert Owner.objects.filter(email="").exists()
    assert Vehicle.objects.filter(category="ambulance").exists()
    fleets = [owner.vehicles.count() for owner in Owner.objects.order_by("id")[:2]]
    assert min(fleets) >= 30
    assert CashSession.objects.filter(status="open").count() == 5
    assert CashSession.objects.filter(status="closed", counted_balance=None).exists()
    assert CashTransaction.objects.filter(status="voided").exists()
    assert CashTransaction.objects.filter(commission_paid_at__isnull=False).exists()
    assert not CashTransaction.objects.filter(posted_at__date__gte=AS_OF).exists()
    assert TaxPayment.objects.exclude(method="cash").exists()


def test_a_database_with_records_is_refused_and_left_alone() -> None:
    factories.open_session()
    before = contents()

    with pytest.raises(CommandError, match="audit trail has entries") as refused:
        call_command("seed_demo", vehicles=10, agents=1, months=1)

    assert refused.value.returncode == 64
    assert contents() == before


@pytest.mark.parametrize("option", ["vehicles", "agents", "months"])
def test_sizes_below_one_are_refused_by_name(option: str) -> None:
    with pytest.raises(CommandError, match=f"--{option}"):
        call_command("seed_demo", **{option: 0})
