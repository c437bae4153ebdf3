"""Owners, vehicles, tax payments and the reminders planned for them (docs/domain.md §1 and §2)."""

from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

PLATE = r"^([0-9]{1,4}[A-Z]{2,3}|TEMP-[A-Z0-9]{8})$"


class Owner(models.Model):
    """A person or firm that owns vehicles; ``email`` is empty where there is none."""

    class Language(models.TextChoices):
        FRENCH = "fr", "Français"
        MALAGASY = "mg", "Malagasy"

    name = models.CharField(_("name"), max_length=200)
    email = models.EmailField(_("e-mail"), blank=True, default="")
    phone = models.CharField(_("phone"), max_length=20, blank=True, default="")
    language = models.CharField(_("language"), max_length=2, choices=Language, default=Language.FRENCH)

    class Meta:
        verbose_name = _("owner")
        verbose_name_plural = _("owners")

    def __str__(self) -> str:
        return self.name


class Vehicle(models.Model):
    """
    A vehicle on land, in the air or on the sea.

    ``length_cm`` and ``engine_kw`` matter for craft at sea only, and ``sea_kind`` tells their rates apart.
    """

    class Category(models.TextChoices):
        PRIVATE = "private", _("private")
        COMMERCIAL = "commercial", _("commercial")
        AMBULANCE = "ambulance", _("ambulance")
        FIRE_SERVICE = "fire_service", _("fire service")
        ADMINISTRATIVE = "administrative", _("administrative")
        INTERNATIONAL = "international", _("international convention")

    class Energy(models.TextChoices):
        PETROL = "petrol", _("petrol")
        DIESEL = "diesel", _("diesel")
        ELECTRIC = "electric", _("electric")
        HYBRID = "hybrid", _("hybrid")

    class Kind(models.TextChoices):
        LAND = "land", _("land")
        AIR = "air", _("air")
        SEA = "sea", _("sea")

    class SeaKind(models.TextChoices):
        PLEASURE = "pleasure", _("pleasure craft")
        JET_SKI = "jet_ski", _("jet-ski")
        OTHER = "other", _("other motorised craft")

    plate = models.CharField(_("plate"), max_length=13, unique=True, validators=[RegexValidator(PLATE)])
    owner = models.ForeignKey(
        Owner, models.SET_NULL, null=True, related_name="vehicles", verbose_name=_("owner")
    )
    kind = models.CharField(_("kind"), max_length=4, choices=Kind, default=Kind.LAND)
    sea_kind = models.CharField(_("kind of craft"), max_length=8, choices=SeaKind, blank=True, default="")
    category = models.CharField(_("category"), max_length=14, choices=Category, default=Category.PRIVATE)
    energy = models.CharField(_("energy"), max_length=8, choices=Energy, default=Energy.PETROL)
    power_cv = models.PositiveSmallIntegerField(_("fiscal power (CV)"), validators=[MinValueValidator(1)])
    length_cm = models.PositiveIntegerField(_("length (cm)"), null=True, blank=True)
    engine_kw = models.PositiveIntegerField(_("engine (kW)"), null=True, blank=True)
    first_circulation_on = models.DateField(_("first circulation"))
    active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("vehicle")
        verbose_name_plural = _("vehicles")
        constraints = [
            models.CheckConstraint(name="vehicle_plate_form", condition=Q(plate__regex=PLATE)),
            models.CheckConstraint(name="vehicle_power_at_least_1", condition=Q(power_cv__gte=1)),
            models.CheckConstraint(
                name="vehicle_sea_kind_iff_sea",
                condition=(Q(kind="sea") & ~Q(sea_kind="")) | (~Q(kind="sea") & Q(sea_kind="")),
            ),
        ]

    def __str__(self) -> str:
        return self.plate


class TaxPayment(models.Model):
    """
    The tax of one vehicle for one fiscal year, paid by whatever means.

    The vehicle's plate is copied, so that the payment outlives the vehicle. A payment awaiting approval is
    neither paid nor unpaid.
    """

    class Method(models.TextChoices):
        CASH = "cash", _("cash")
        MOBILE_MONEY = "mobile_money", _("mobile money")
        CARD = "card", _("card")

    class Status(models.TextChoices):
        PENDING = "pending", _("awaiting approval")
        PAID = "paid", _("paid")
        CANCELLED = "cancelled", _("cancelled")

    vehicle = models.ForeignKey(
        Vehicle, models.SET_NULL, null=True, related_name="payments", verbose_name=_("vehicle")
    )
    plate = models.CharField(_("plate"), max_length=13)
    fiscal_year = models.PositiveSmallIntegerField(_("fiscal year"))
    amount = models.PositiveBigIntegerField(_("amount (Ar)"))
    method = models.CharField(_("method"), max_length=12, choices=Method)
    paid_at = models.DateTimeField(_("paid"))
    status = models.CharField(_("status"), max_length=9, choices=Status, default=Status.PAID)

    class Meta:
        verbose_name = _("tax payment")
        verbose_name_plural = _("tax payments")
        constraints = [
            # After a void the vehicle can pay again.
            models.UniqueConstraint(
                fields=["vehicle", "fiscal_year"],
                name="one_payment_per_vehicle_and_year",
                condition=~Q(status="cancelled"),
            ),
        ]
        indexes = [models.Index(fields=["fiscal_year", "status"], name="tax_payment_year_status")]

    def __str__(self) -> str:
        return f"{self.plate} {self.fiscal_year}"


class Reminder(models.Model):
    """
    One stage of reminding one vehicle's owner about one fiscal year; the unique key keeps it to once.

    ``stage`` is ``due-30``, ``due-7``, ``due+0``, ``due+7``, ``due+30``, ``due+60`` … or ``expiring``;
    ``stage_on`` is the local day that the stage falls on. ``mail_key`` names the owner's mail of that day.
    """

    class State(models.TextChoices):
        PLANNED = "planned", _("planned")
        SENT = "sent", _("sent")
        WITHDRAWN = "withdrawn", _("withdrawn")
        UNREACHABLE = "unreachable", _("no address or refused")

    vehicle = models.ForeignKey(Vehicle, models.CASCADE, related_name="reminders", verbose_name=_("vehicle"))
    fiscal_year = models.PositiveSmallIntegerField(_("fiscal year"))
    stage = models.CharField(_("stage"), max_length=10)
    stage_on = models.DateField(_("stage's day"))
    due_on = models.DateField(_("due date"))
    mail_key = models.CharField(_("mail"), max_length=200, blank=True, default="", db_index=True)
    state = models.CharField(_("state"), max_length=11, choices=State, default=State.PLANNED)
    reason = models.CharField(_("reason"), max_length=100, blank=True, default="")
    planned_at = models.DateTimeField(_("planned"))
    settled_at = models.DateTimeField(_("settled"), null=True, blank=True)

    class Meta:
        verbose_name = _("reminder")
        verbose_name_plural = _("reminders")
        constraints = [
            models.UniqueConstraint(
                fields=["vehicle", "fiscal_year", "stage"], name="one_reminder_per_stage"
            ),
        ]
        indexes = [models.Index(fields=["vehicle"], name="reminder_planned", condition=Q(state="planned"))]

    def __str__(self) -> str:
        return f"{self.fiscal_year} {self.stage}"
