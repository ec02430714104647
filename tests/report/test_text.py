"""Text of unknown origin: whatever it holds is to be seen, and is text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_fetch.report.text import cut, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plan", "plan"),
        ("Zürich 東京 🙂 שלום", "Zürich 東京 🙂 שלום"),
        ("a\0b", "a␀b"),
        ("a\tb\r\nc", "a␉b␍␊c"),
        ("\x7f\x85", "␡⟨U+0085⟩"),
        ("a\u202etxt.exe", "a⟨U+202E⟩txt.exe"),
        ("\u2066\u2069\u200f", "⟨U+2066⟩⟨U+2069⟩⟨U+200F⟩"),
        ("a\u2028b\u2029c", "a⟨U+2028⟩b⟨U+2029⟩c"),
        ("\ud83d alone", "\ufffd alone"),
        ("<b> & 'c'", "<b> & 'c'"),  # escaping is the template's
    ],
)
def test_what_acts_unseen_is_shown_instead(text, shown):
    assert visible(text) == shown


@given(st.text(st.characters(codec=None)))
def test_all_text_ends_as_utf_8_without_control_characters(text):
    shown = visible(text)
    shown.encode()
    assert not any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in shown)


def test_text_is_cut_to_a_length_with_its_mark():
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdefg", 6) == "abcde…"
