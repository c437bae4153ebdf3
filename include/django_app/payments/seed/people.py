"""Owners, vehicles and agents of the demo data."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from core.models import Owner, Vehicle
from payments.models import Agent

_FAMILY = """
    Rakotomalala Andrianarivo Rabemananjara Razafindrakoto Ramanantsoa Randriamampionona Raharimanana
    Rasolofoniaina Andriamihaja Ratsimandrava Ravalomanana Rafaralahy Dupont Martin Lefèvre Hoareau Payet
"""
_GIVEN = (
    "Hery Rasoa Tiana Fanja Mamy Vola Lova Naina Haja Miora Solofo Nirina Tojo Claire Jean-Luc Élise Noël"
)
FAMILY, GIVEN = _FAMILY.split(), _GIVEN.split()
FIRMS = ("Transports", "Taxi-be", "Location", "Société", "Coopérative")
PLACES = ("Antananarivo", "Toamasina", "Antsirabe", "Fianarantsoa", "Mahajanga", "Toliara", "Antsiranana")
LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
RATES = (None, None, None, None, Decimal("0.0150"), Decimal("0.0250"), Decimal("0.0300"), Decimal("0"))

# Owners of the nation per vehicle, and how many vehicles the largest fleets have.
OWNERS_PER_VEHICLE = 0.57
FLEETS = 2
FLEET_SHARE = 0.1


def make_owners(random: Random, vehicles: int) -> list[Owner]:
    """Owners for so many vehicles; the first ones are firms with fleets. One in eight has no address."""
    owners = []
    for number in range(max(int(vehicles * OWNERS_PER_VEHICLE), 1)):
        fleet = number < FLEETS
        family, given = random.choice(FAMILY), random.choice(GIVEN)
        address = "" if not fleet and random.random() < 0.125 else f"owner{number + 1}@owners.example"
        owners.append(
            Owner(
                name=f"{random.choice(FIRMS)} {family}" if fleet else f"{given} {family}",
                email=address,
                phone=f"+2613{random.randint(20_000_000, 49_999_999)}",
                language=Owner.Language.MALAGASY if random.random() < 0.45 else Owner.Language.FRENCH,
            )
        )
    return owners


def make_vehicles(random: Random, owners: list[Owner], count: int, *, until: date) -> list[Vehicle]:
    """Vehicles of all kinds, in service before ``until``; the fleets take their share first."""
    fleet = int(count * FLEET_SHARE) // FLEETS
    plates = _plates(random)
    made = []
    for number in range(count):
        owner = owners[number // fleet] if fleet and number < fleet * FLEETS else random.choice(owners)
        made.append(_vehicle(random, owner, next(plates), until))
    return made


def _plates(random: Random) -> Iterator[str]:
    given = set()
    while True:
        plate = f"{random.randint(1, 9999)}{''.join(random.choices(LETTERS, k=3))}"
        if random.random() < 0.01:
            plate = f"TEMP-{''.join(random.choices(LETTERS + '0123456789', k=8))}"
        if plate not in given:
            given.add(plate)
            yield plate


def _vehicle(random: Random, owner: Owner, plate: str, until: date) -> Vehicle:
    kind = random.choices(["land", "air", "sea"], [960, 8, 32])[0]
    sea_kind = random.choice(["pleasure", "jet_ski", "other"]) if kind == "sea" else ""
    return Vehicle(
        plate=plate,
        owner=owner,
        kind=kind,
        sea_kind=sea_kind,
        category=random.choices(
            ["private", "commercial", "ambulance", "fire_service", "administrative", "international"],
            [78, 17, 1, 1, 2, 1],
        )[0],
        energy=random.choices(["petrol", "diesel", "electric", "hybrid"], [55, 40, 2, 3])[0],
        power_cv=random.choices([3, 5, 7, 9, 11, 13, 16, 22], [5, 20, 30, 20, 12, 7, 4, 2])[0],
        length_cm=random.randint(300, 1500) if kind == "sea" else None,
        engine_kw=random.randint(20, 250) if kind == "sea" else None,
        first_circulation_on=until - timedelta(days=random.randint(1, 30 * 365)),
        active=random.random() > 0.02,
    )


def make_agents(random: Random, count: int) -> list[Agent]:
    """Agents with rates of their own, the default rate, and a rate of nought; one in ten has no address."""
    return [
        Agent(
            code=f"AG{number + 1:08d}",
            name=f"{random.choice(GIVEN)} {random.choice(FAMILY)}",
            email="" if number % 10 == 9 else f"agent{number + 1}@agents.example",
            phone=f"+2613{random.randint(20_000_000, 49_999_999)}",
            place=random.choice(PLACES),
            commission_rate=RATES[number % len(RATES)],
        )
        for number in range(count)
    ]
