"""The tax of a vehicle (docs/domain.md §1); the figures are written out again here on purpose."""

from datetime import date
from typing import Any

import pytest

from core.calendar import due_on, next_stage_on, payable_from, stages
from core.models import Vehicle
from core.tariff import age_on_1_january, tax_due

TABLE = """
1-4   | 15/40/90/115    | 20/45/95/120    | 5/30/80/105   | 10/35/85/110
5-9   | 30/55/105/130   | 40/65/115/140   | 10/35/85/110  | 20/45/95/120
10-12 | 60/85/135/160   | 80/105/155/180  | 20/45/95/120  | 40/65/115/140
13-15 | 90/115/165/190  | 120/145/195/220 | 30/55/105/130 | 60/85/135/160
16-99 | 180/205/255/280 | 240/265/315/340 | 60/85/135/160 | 120/145/195/220
"""
COLUMNS = ((0, 5), (6, 10), (11, 20), (21, 60))


def vehicle(**changes: Any) -> Vehicle:
    values = {"power_cv": 6, "first_circulation_on": date(2020, 6, 15)}
    return Vehicle(**{**values, **changes})


def cells() -> list[tuple[str, int, int, int]]:
    """Energy, power, age, ariary at both ends of every cell."""
    found = []
    for row in TABLE.strip().splitlines():
        powers, *by_energy = row.split("|")
        for energy, amounts in zip(("petrol", "diesel", "electric", "hybrid"), by_energy, strict=True):
            for ages, thousand in zip(COLUMNS, amounts.split("/"), strict=True):
                ends = [(int(power), age) for power in powers.split("-") for age in ages]
                found += [(energy, power, age, int(thousand) * 1000) for power, age in ends]
    return found


def test_every_cell_of_the_table_at_both_ends_of_power_and_age() -> None:
    for energy, power, age, ariary in cells():
        taxed = vehicle(energy=energy, power_cv=power, first_circulation_on=date(2026 - age, 1, 1))

        assert tax_due(vehicle=taxed, fiscal_year=2026) == ariary, (energy, power, age)


@pytest.mark.parametrize(
    ("first", "age"),
    [
        (date(2020, 6, 15), 5),
        (date(2020, 1, 1), 6),
        (date(2020, 1, 2), 5),
        (date(2025, 12, 31), 0),
        (date(2026, 1, 1), 0),
        (date(2026, 7, 1), 0),
        (date(2020, 2, 29), 5),
    ],
)
def test_the_age_is_in_whole_years_on_1_january(first: date, age: int) -> None:
    assert age_on_1_january(first_circulation_on=first, fiscal_year=2026) == age


@pytest.mark.parametrize("category", ["ambulance", "fire_service", "administrative", "international"])
def test_four_categories_are_exempt_on_land_and_in_the_air(category: str) -> None:
    assert tax_due(vehicle=vehicle(category=category), fiscal_year=2026) == 0
    assert tax_due(vehicle=vehicle(category=category, kind="air"), fiscal_year=2026) == 0


def test_a_commercial_vehicle_pays_like_a_private_one_and_any_aircraft_two_million() -> None:
    assert tax_due(vehicle=vehicle(category="commercial"), fiscal_year=2026) == 30_000
    assert tax_due(vehicle=vehicle(kind="air", power_cv=900), fiscal_year=2026) == 2_000_000


@pytest.mark.parametrize(
    ("sea_kind", "measures", "ariary"),
    [
        ("pleasure", {"length_cm": 700, "power_cv": 1}, 200_000),
        ("pleasure", {"length_cm": 699, "power_cv": 21, "engine_kw": 89}, 0),
        ("pleasure", {"power_cv": 22}, 200_000),
        ("pleasure", {"power_cv": 1, "engine_kw": 90}, 200_000),
        ("jet_ski", {"power_cv": 1, "engine_kw": 90}, 200_000),
        ("jet_ski", {"power_cv": 30, "length_cm": 900, "engine_kw": 89}, 0),
        ("other", {"power_cv": 1}, 1_000_000),
    ],
)
def test_craft_at_sea_at_each_threshold(sea_kind: str, measures: dict[str, int], ariary: int) -> None:
    assert tax_due(vehicle=vehicle(kind="sea", sea_kind=sea_kind, **measures), fiscal_year=2026) == ariary


@pytest.mark.parametrize(
    ("first", "due"),
    [
        (date(2020, 6, 15), date(2026, 1, 31)),
        (date(2026, 1, 1), date(2026, 1, 31)),
        (date(2026, 1, 2), date(2026, 1, 2)),
        (date(2026, 12, 31), date(2026, 12, 31)),
    ],
)
def test_the_tax_is_due_on_31_january_or_the_day_of_first_circulation(first: date, due: date) -> None:
    assert due_on(first_circulation_on=first, fiscal_year=2026) == due


def test_next_year_can_be_paid_from_1_december() -> None:
    assert payable_from(2027) == date(2026, 12, 1)


def test_the_stages_of_a_year_end_with_it() -> None:
    days = dict(stages(first_circulation_on=date(2020, 6, 15), fiscal_year=2026))

    assert {stage: f"{day:%m-%d}" for stage, day in days.items()} == {
        "due-30": "01-01", "due-7": "01-24", "due+0": "01-31", "due+7": "02-07", "due+30": "03-02",
        "due+60": "04-01", "due+90": "05-01", "due+120": "05-31", "due+150": "06-30", "due+180": "07-30",
        "due+210": "08-29", "due+240": "09-28", "due+270": "10-28", "due+300": "11-27", "due+330": "12-27",
    }  # fmt: skip


def test_a_vehicle_new_this_year_has_no_stage_before_its_due_date() -> None:
    days = stages(first_circulation_on=date(2026, 11, 20), fiscal_year=2026)

    assert days == [
        ("due+0", date(2026, 11, 20)),
        ("due+7", date(2026, 11, 27)),
        ("due+30", date(2026, 12, 20)),
    ]


def test_the_next_stage_is_the_one_that_follows_in_the_year() -> None:
    days = stages(first_circulation_on=date(2020, 6, 15), fiscal_year=2026)

    following = [next_stage_on(stage=stage, due=date(2026, 1, 31)) for stage, _ in days]

    assert following == [*(day for _, day in days[1:]), None]
    assert next_stage_on(stage="expiring", due=date(2027, 1, 31)) == date(2027, 1, 1)
