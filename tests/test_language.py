"""What an admin reads, in English and in Chinese."""

from __future__ import annotations

import gettext
import io
import re
import string
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from logmonitor.language import LANGUAGES, translation

ROOT = Path(__file__).parent.parent
CATALOGUE = ROOT / "logmonitor" / "locale" / "zh" / "LC_MESSAGES" / "logmonitor.po"


def fields(text: str) -> set[str]:
    """Return the names of the placeholders in a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def source_texts() -> set[str]:
    """Return every text in the code that is to be translated."""
    keywords = {"_": None, "translate": None, "_translate": None}
    return {
        message
        for package in ("logmonitor", "operations")
        for _, _, message, _, _ in extract_from_dir(ROOT / package, [("**.py", "python")], keywords=keywords)
        if isinstance(message, str)
    }


def translations() -> dict[str, str]:
    """Return the Chinese catalogue as it is edited."""
    with CATALOGUE.open("rb") as file:
        return {str(message.id): str(message.string) for message in read_po(file, locale="zh") if message.id}


def test_catalogue_has_every_text_and_no_other() -> None:
    """Every text an admin may read has a Chinese one, and nothing in the catalogue is left over."""
    assert {source for source, text in translations().items() if text} == source_texts()


def test_catalogue_keeps_every_placeholder() -> None:
    """A translation has the placeholders of its text, so that formatting it cannot fail."""
    assert [source for source, text in translations().items() if fields(source) != fields(text)] == []


def test_catalogue_puts_no_space_behind_a_length_of_time() -> None:
    """A length of time ends with its unit, which is Chinese: no space stands between that and what follows it."""
    assert [text for text in translations().values() if re.search(r"\{duration\}\s+[^\W\d_a-zA-Z]", text)] == []


def test_compiled_catalogue_is_that_of_the_source() -> None:
    """The shipped `.mo` says what the `.po` says (`make messages` after an edit)."""
    with CATALOGUE.open("rb") as file:
        compiled = io.BytesIO()
        write_mo(compiled, read_po(file, locale="zh"))
    compiled.seek(0)
    expected = gettext.GNUTranslations(compiled)
    assert [text for text in translations() if translation("zh")(text) != expected.gettext(text)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_translation_returns_a_text_for_every_language(language: str) -> None:
    """A text that no catalogue has comes back as it is."""
    assert translation(language)("no such text") == "no such text"
