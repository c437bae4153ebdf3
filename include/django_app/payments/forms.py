"""What the admin actions ask for."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from core.models import Vehicle


class NothingForm(forms.Form):
    """Only a confirmation."""


class ReasonForm(forms.Form):
    reason = forms.CharField(label=_("Reason"), max_length=500, widget=forms.Textarea(attrs={"rows": 2}))


class OpenForm(forms.Form):
    opening_float = forms.IntegerField(label=_("Opening float (Ar)"), min_value=0)


class CountForm(forms.Form):
    counted_balance = forms.IntegerField(label=_("Counted balance (Ar)"), min_value=0)


class PostForm(forms.Form):
    vehicle = forms.CharField(label=_("Plate"), max_length=13)
    fiscal_year = forms.IntegerField(label=_("Fiscal year"), min_value=2000, max_value=2100)
    tendered = forms.IntegerField(label=_("Tendered (Ar)"), min_value=1)

    def clean_vehicle(self) -> Vehicle:
        plate = self.cleaned_data["vehicle"].strip().upper()
        try:
            return Vehicle.objects.get(plate=plate)
        except Vehicle.DoesNotExist:
            raise ValidationError(_("There is no vehicle with this plate.")) from None
