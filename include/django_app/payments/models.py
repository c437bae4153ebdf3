"""Agents, cash sessions, transactions, approvals, voids and commission reports (docs/domain.md §3 to §5)."""

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from core.models import TaxPayment


class Agent(models.Model):
    """
    Somebody who takes cash. ``commission_rate`` is a fraction (0.02 is 2 %); ``None`` means the default
    rate, and 0 is a rate of nought.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="agent",
        verbose_name=_("user"),
    )
    code = models.CharField(
        _("code"), max_length=10, unique=True, validators=[RegexValidator(r"^AG[A-Z0-9]{8}$")]
    )
    name = models.CharField(_("name"), max_length=200)
    email = models.EmailField(_("e-mail"), blank=True, default="")
    phone = models.CharField(_("phone"), max_length=20, blank=True, default="")
    place = models.CharField(_("place"), max_length=100, blank=True, default="")
    commission_rate = models.DecimalField(
        _("commission rate"), max_digits=5, decimal_places=4, null=True, blank=True
    )
    active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("agent")
        verbose_name_plural = _("agents")
        constraints = [
            models.CheckConstraint(name="agent_code_form", condition=Q(code__regex=r"^AG[A-Z0-9]{8}$")),
            models.CheckConstraint(
                name="agent_rate_is_a_fraction",
                condition=Q(commission_rate__isnull=True) | Q(commission_rate__gte=0, commission_rate__lte=1),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class CashSession(models.Model):
    """
    An agent's till from opening to reconciliation.

    ``closed_by`` is ``user:NAME`` or ``system``; ``counted_balance`` stays empty until a person has
    counted. ``variance`` is counted minus expected.
    """

    class Status(models.TextChoices):
        OPEN = "open", _("open")
        CLOSED = "closed", _("closed")
        RECONCILED = "reconciled", _("reconciled")

    number = models.CharField(
        _("number"), max_length=20, unique=True, validators=[RegexValidator(r"^SESS-[0-9]{8}-[0-9]{6}$")]
    )
    agent = models.ForeignKey(Agent, models.PROTECT, related_name="sessions", verbose_name=_("agent"))
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.OPEN)
    opening_float = models.PositiveBigIntegerField(_("opening float (Ar)"))
    expected_balance = models.BigIntegerField(_("expected balance (Ar)"), null=True, blank=True)
    counted_balance = models.PositiveBigIntegerField(_("counted balance (Ar)"), null=True, blank=True)
    variance = models.BigIntegerField(_("variance (Ar)"), null=True, blank=True)
    opened_at = models.DateTimeField(_("opened"))
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)
    closed_by = models.CharField(_("closed by"), max_length=160, blank=True, default="")
    counted_at = models.DateTimeField(_("counted"), null=True, blank=True)
    counted_by = models.CharField(_("counted by"), max_length=160, blank=True, default="")
    reconciled_at = models.DateTimeField(_("reconciled"), null=True, blank=True)
    reconciled_by = models.CharField(_("reconciled by"), max_length=160, blank=True, default="")

    class Meta:
        verbose_name = _("cash session")
        verbose_name_plural = _("cash sessions")
        permissions = [
            ("open_session", _("may open a cash session")),
            ("close_session", _("may close a cash session")),
            ("count_session", _("may count a cash session")),
            ("reconcile_session", _("may reconcile a cash session")),
            ("supervise_sessions", _("is a supervisor of cash sessions")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["agent"], condition=Q(status="open"), name="one_open_session_per_agent"
            ),
            models.CheckConstraint(
                name="session_closed_has_expected_balance",
                condition=Q(status="open", closed_at__isnull=True, expected_balance__isnull=True)
                | (~Q(status="open") & Q(closed_at__isnull=False, expected_balance__isnull=False)),
            ),
            models.CheckConstraint(
                name="session_variance_is_counted_minus_expected",
                condition=Q(counted_balance__isnull=True, variance__isnull=True)
                | Q(variance=F("counted_balance") - F("expected_balance")),
            ),
            models.CheckConstraint(
                name="session_reconciled_was_counted",
                condition=~Q(status="reconciled")
                | Q(counted_balance__isnull=False, reconciled_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["opened_at"], name="session_open_since", condition=Q(status="open")),
            models.Index(
                fields=["agent", "closed_at"], name="session_unreconciled", condition=Q(status="closed")
            ),
        ]

    def __str__(self) -> str:
        return self.number


class CashTransaction(models.Model):
    """
    Cash taken for one vehicle and fiscal year.

    Amounts, parties and times never change; ``status`` moves only with an approval or void record, and
    ``commission`` with ``commission_paid_at`` when it is paid out. ``accrued_at`` is when it was posted,
    or approved if it needed approval: the commission belongs to that local month.
    """

    class Status(models.TextChoices):
        PENDING = "pending", _("awaiting approval")
        POSTED = "posted", _("posted")
        REJECTED = "rejected", _("rejected")
        VOIDED = "voided", _("voided")

    number = models.CharField(
        _("number"), max_length=20, unique=True, validators=[RegexValidator(r"^CASH-[0-9]{8}-[0-9]{6}$")]
    )
    session = models.ForeignKey(
        CashSession, models.PROTECT, related_name="transactions", verbose_name=_("session")
    )
    agent = models.ForeignKey(Agent, models.PROTECT, related_name="transactions", verbose_name=_("agent"))
    payment = models.OneToOneField(
        TaxPayment, models.PROTECT, related_name="cash_transaction", verbose_name=_("tax payment")
    )
    plate = models.CharField(_("plate"), max_length=13)
    fiscal_year = models.PositiveSmallIntegerField(_("fiscal year"))
    tax = models.PositiveBigIntegerField(_("tax (Ar)"))
    tendered = models.PositiveBigIntegerField(_("tendered (Ar)"))
    change = models.PositiveBigIntegerField(_("change (Ar)"))
    status = models.CharField(_("status"), max_length=8, choices=Status)
    posted_at = models.DateTimeField(_("posted"))
    posted_by = models.CharField(_("posted by"), max_length=160)
    accrued_at = models.DateTimeField(_("accrued"), null=True, blank=True)
    commission_rate = models.DecimalField(_("commission rate"), max_digits=5, decimal_places=4)
    commission = models.PositiveBigIntegerField(_("commission (Ar)"))
    commission_paid_at = models.DateTimeField(_("commission paid"), null=True, blank=True)

    class Meta:
        verbose_name = _("cash transaction")
        verbose_name_plural = _("cash transactions")
        permissions = [
            ("post_transaction", _("may take a payment")),
            ("approve_transaction", _("may approve or reject a large payment")),
            ("void_transaction", _("may void a payment")),
            ("pay_commission", _("may record that a commission was paid")),
        ]
        constraints = [
            models.CheckConstraint(
                name="transaction_change_is_tendered_minus_tax", condition=Q(tendered=F("tax") + F("change"))
            ),
            models.CheckConstraint(
                name="transaction_posted_is_accrued",
                condition=Q(status="posted", accrued_at__isnull=False) | ~Q(status="posted"),
            ),
        ]
        indexes = [
            models.Index(fields=["accrued_at"], name="transaction_accrued_at"),
            models.Index(fields=["session", "status"], name="transaction_session_status"),
        ]

    def __str__(self) -> str:
        return self.number


class TransactionDecision(models.Model):
    """The record that moved a transaction's status, by a second person: approval, rejection or void."""

    class Kind(models.TextChoices):
        APPROVED = "approved", _("approved")
        REJECTED = "rejected", _("rejected")
        VOIDED = "voided", _("voided")

    transaction = models.ForeignKey(
        CashTransaction, models.PROTECT, related_name="decisions", verbose_name=_("transaction")
    )
    kind = models.CharField(_("kind"), max_length=8, choices=Kind)
    decided_at = models.DateTimeField(_("decided"))
    decided_by = models.CharField(_("decided by"), max_length=160)
    reason = models.CharField(_("reason"), max_length=500)

    class Meta:
        verbose_name = _("decision")
        verbose_name_plural = _("decisions")
        constraints = [
            models.UniqueConstraint(fields=["transaction", "kind"], name="one_decision_of_a_kind"),
        ]


class CommissionReport(models.Model):
    """
    The commissions of one calendar month, as issued; a correction is the next revision.

    ``fingerprint`` is the sha256 of the accrued figures (canonical JSON); ``figures`` holds them by agent.
    """

    month = models.CharField(
        _("month"), max_length=7, validators=[RegexValidator(r"^[0-9]{4}-(0[1-9]|1[0-2])$")]
    )
    revision = models.PositiveSmallIntegerField(_("revision"))
    transactions = models.PositiveIntegerField(_("transactions"))
    tax = models.PositiveBigIntegerField(_("tax (Ar)"))
    accrued = models.PositiveBigIntegerField(_("accrued commission (Ar)"))
    pending = models.PositiveBigIntegerField(_("still to be paid (Ar)"))
    paid = models.PositiveBigIntegerField(_("paid (Ar)"))
    cancelled = models.PositiveBigIntegerField(_("cancelled (Ar)"))
    figures = models.JSONField(_("figures"))
    changes = models.JSONField(_("changes since the last revision"), default=list)
    fingerprint = models.CharField(_("fingerprint"), max_length=64)
    files = models.JSONField(_("files"), default=dict)
    as_of = models.DateTimeField(_("as of"))
    issued_at = models.DateTimeField(_("issued"))

    class Meta:
        verbose_name = _("commission report")
        verbose_name_plural = _("commission reports")
        ordering = ["-month", "-revision"]
        constraints = [
            models.UniqueConstraint(fields=["month", "revision"], name="one_report_per_month_and_revision"),
        ]

    def __str__(self) -> str:
        return f"{self.month} r{self.revision}"
