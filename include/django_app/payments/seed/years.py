"""Which vehicles still owe which fiscal years while the demo data is made."""

from collections.abc import Iterator
from datetime import date
from random import Random

from core.calendar import payable_from
from core.models import Vehicle
from core.tariff import tax_due

YEARS_BACK = 3


class UnpaidYears:
    """Vehicles that owe tax, by fiscal year, in an order of chance."""

    def __init__(self, random: Random, vehicles: list[Vehicle], *, until: date) -> None:
        self._random = random
        self.vehicles = [each for each in vehicles if each.active]
        self._owed: dict[int, list[Vehicle]] = {}
        for year in range(until.year - YEARS_BACK, until.year + 2):
            owing = [
                each
                for each in self.vehicles
                if each.first_circulation_on.year <= year and tax_due(vehicle=each, fiscal_year=year)
            ]
            random.shuffle(owing)
            self._owed[year] = owing

    def take(self, day: date) -> tuple[Vehicle, int] | None:
        """Take a vehicle that pays on this local day, mostly for the year itself."""
        year = day.year - (self._random.random() < 0.08)
        if day >= payable_from(day.year + 1) and self._random.random() < 0.3:
            year = day.year + 1
        owed = self._owed.get(year, [])
        for index in range(len(owed) - 1, -1, -1):
            if owed[index].first_circulation_on <= day:
                return owed.pop(index), year
        return None

    def give_back(self, vehicle: Vehicle, year: int) -> None:
        """After a void or a rejection the vehicle owes the year again."""
        self._owed[year].insert(0, vehicle)

    def left(self, *, until: int) -> Iterator[tuple[Vehicle, int]]:
        """What is still owed, of the years up to and including ``until``."""
        for year in sorted(self._owed):
            if year <= until:
                yield from ((vehicle, year) for vehicle in self._owed[year])
