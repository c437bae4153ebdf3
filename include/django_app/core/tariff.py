"""
The tax of a vehicle for a fiscal year, in whole ariary (docs/domain.md §1).

One table serves Python and SQL: :func:`tax_due` for one vehicle, :func:`tariff_rows` for a ``VALUES`` list.
"""

from collections.abc import Iterator
from datetime import date

from core.models import Vehicle

EXEMPT = frozenset(
    {
        Vehicle.Category.AMBULANCE,
        Vehicle.Category.FIRE_SERVICE,
        Vehicle.Category.ADMINISTRATIVE,
        Vehicle.Category.INTERNATIONAL,
    }
)

# Upper ends of the age columns (whole years on 1 January) and of the power rows (CV); None is "above".
AGES: tuple[int | None, ...] = (5, 10, 20, None)
POWERS: tuple[int | None, ...] = (4, 9, 12, 15, None)

# Thousand ariary: energy -> a row for each power -> a column for each age.
LAND = {
    Vehicle.Energy.PETROL: (
        (15, 40, 90, 115), (30, 55, 105, 130), (60, 85, 135, 160), (90, 115, 165, 190), (180, 205, 255, 280),
    ),
    Vehicle.Energy.DIESEL: (
        (20, 45, 95, 120), (40, 65, 115, 140), (80, 105, 155, 180), (120, 145, 195, 220),
        (240, 265, 315, 340),
    ),
    Vehicle.Energy.ELECTRIC: (
        (5, 30, 80, 105), (10, 35, 85, 110), (20, 45, 95, 120), (30, 55, 105, 130), (60, 85, 135, 160),
    ),
    Vehicle.Energy.HYBRID: (
        (10, 35, 85, 110), (20, 45, 95, 120), (40, 65, 115, 140), (60, 85, 135, 160), (120, 145, 195, 220),
    ),
}  # fmt: skip

AIRCRAFT = 2_000_000
SEA_HIGH = 1_000_000
SEA_LOW = 200_000


def age_on_1_january(*, first_circulation_on: date, fiscal_year: int) -> int:
    """Whole years completed on 1 January of the fiscal year; 0 for a vehicle that came later."""
    # By 1 January a birthday in that year has only come for a vehicle of 1 January itself.
    years = fiscal_year - first_circulation_on.year
    born_on_1_january = (first_circulation_on.month, first_circulation_on.day) == (1, 1)
    return max(years if born_on_1_january else years - 1, 0)


def is_exempt(vehicle: Vehicle) -> bool:
    """Say whether the vehicle's category owes no tax at all."""
    return vehicle.category in EXEMPT


def tax_due(*, vehicle: Vehicle, fiscal_year: int) -> int:
    """The tax of a vehicle for a fiscal year, in ariary; 0 for an exempt one."""
    if is_exempt(vehicle):
        return 0
    if vehicle.kind == Vehicle.Kind.AIR:
        return AIRCRAFT
    if vehicle.kind == Vehicle.Kind.SEA:
        return _sea(vehicle)
    age = age_on_1_january(first_circulation_on=vehicle.first_circulation_on, fiscal_year=fiscal_year)
    row = LAND[Vehicle.Energy(vehicle.energy)][_band(POWERS, vehicle.power_cv)]
    return row[_band(AGES, age)] * 1000


def _sea(vehicle: Vehicle) -> int:
    """
    Pleasure craft from 7 m, 22 CV or 90 kW on and jet-skis from 90 kW on pay the low rate.

    The text names no rate for smaller ones: they pay none. Every other motorised craft pays the high rate.
    """
    if vehicle.sea_kind == Vehicle.SeaKind.OTHER:
        return SEA_HIGH
    strong = (vehicle.engine_kw or 0) >= 90
    if vehicle.sea_kind == Vehicle.SeaKind.PLEASURE:
        strong = strong or (vehicle.length_cm or 0) >= 700 or vehicle.power_cv >= 22
    return SEA_LOW if strong else 0


def _band(upper_ends: tuple[int | None, ...], value: int) -> int:
    return next(index for index, end in enumerate(upper_ends) if end is None or value <= end)


def tariff_rows() -> Iterator[tuple[str, int, int, int, int]]:
    """Yield energy, lowest and highest power (CV), highest age, ariary; ages and powers above are 32767."""
    for energy, rows in LAND.items():
        lowest = 1
        for power, row in zip(POWERS, rows, strict=True):
            for age, thousand in zip(AGES, row, strict=True):
                yield (
                    str(energy),
                    lowest,
                    power or 32_767,
                    age if age is not None else 32_767,
                    thousand * 1000,
                )
            lowest = (power or 0) + 1
