"""The compiled catalogues say what the readable ones say; people read the ones, Django the others."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from django.conf import settings

CATALOGUES = sorted(Path(settings.BASE_DIR).glob("**/locale/*/LC_MESSAGES/django.po"))


def texts(catalogue: Catalog) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Singular and plural forms, as tuples whichever reader made them."""
    return {_forms(message.id): _forms(message.string) for message in catalogue if message.id}


def _forms(text: str | Sequence[str]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: f"{path.parts[-5]}-{path.parts[-3]}")
def test_a_compiled_catalogue_is_fresh(path: Path) -> None:
    with path.open("rb") as readable, path.with_suffix(".mo").open("rb") as compiled:
        written, used = texts(read_po(readable)), texts(read_mo(compiled))

    assert used == written


def test_malagasy_has_every_sentence_of_the_reminder() -> None:
    mails = Path(settings.BASE_DIR) / "core"
    with (mails / "locale" / "mg" / "LC_MESSAGES" / "django.po").open("rb") as readable:
        texts = [message for message in read_po(readable) if message.id]

    assert len(texts) >= 14
    assert all(message.string for message in texts)
    assert "Not yet reviewed" in (mails / "locale/mg/LC_MESSAGES/django.po").read_text()


@pytest.mark.parametrize("app", ["audit", "core", "operations", "outbox", "payments"])
def test_french_has_every_label_of_the_site(app: str) -> None:
    folder = Path(settings.BASE_DIR) / app
    sources = [file for file in folder.rglob("*.py") if "migrations" not in file.parts]
    labels = {label for file in sources for label in re.findall(r'\b_\(\s*"([^"]+)"', file.read_text())}

    with (folder / "locale/fr/LC_MESSAGES/django.po").open("rb") as readable:
        translated = {str(message.id) for message in read_po(readable) if message.string}

    assert labels
    assert labels <= translated
