"""Reading the catalogue: what is wrong is named."""

from datetime import timedelta
from pathlib import Path

import pytest

from airflow_django.catalogue import CatalogueError, duration, load_operation

ROOT = Path(__file__).resolve().parents[2]


def _load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, old: str, new: str) -> None:
    file = tmp_path / "operations.toml"
    file.write_text((ROOT / "include/operations.toml").read_text().replace(old, new))
    monkeypatch.setenv("AIRFLOW_DJANGO_CATALOGUE", str(file))
    load_operation("close_expired_sessions.py")


def test_an_operation_has_the_name_of_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_DJANGO_CATALOGUE", str(ROOT / "include/operations.toml"))

    operation = load_operation("/somewhere/close_expired_sessions.py")

    assert (operation.name, operation.finish_within) == ("close_expired_sessions", timedelta(minutes=15))
    assert operation.timezone == "Indian/Antananarivo"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("[operations.close_expired_sessions]", "[operations.other]", "operations.close_expired_sessions"),
        ('owner = "cash-desk"', 'ownr = "cash-desk"', "ownr"),
        ('finish_within = "15m"', 'finish_within = "15 minutes"', "15 minutes"),
        ('summary = "Close cash', 'x = "', "x"),
        ('owner = "cash-desk"\n', "", "owner"),
    ],
)
def test_what_is_wrong_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, old: str, new: str, named: str
) -> None:
    with pytest.raises(CatalogueError, match=named):
        _load(monkeypatch, tmp_path, old, new)


def test_without_the_variable_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_DJANGO_CATALOGUE", raising=False)

    with pytest.raises(CatalogueError, match="AIRFLOW_DJANGO_CATALOGUE"):
        load_operation("close_expired_sessions.py")


@pytest.mark.parametrize(
    ("text", "value"), [("30s", timedelta(seconds=30)), ("2h", timedelta(hours=2)), ("1d", timedelta(days=1))]
)
def test_durations(text: str, value: timedelta) -> None:
    assert duration(text) == value
