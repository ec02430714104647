"""Text of unknown origin, made fit for a page: short, and with nothing in it that acts unseen."""

from __future__ import annotations

# Control characters become their pictures (U+2400 on). What turns the writing direction, joins
# lines or cannot be seen becomes its code point, and half a surrogate pair, which UTF-8 cannot
# hold, the replacement character. Escaping is not done here: the templates do it, always.
_UNSEEN: dict[int, str] = {
    **{code: chr(0x2400 + code) for code in range(0x20)},
    **dict.fromkeys((*range(0xD800, 0xE000), 0xFFFE, 0xFFFF), "\ufffd"),
    **{
        code: f"\u27e8U+{code:04X}\u27e9"
        for code in (
            *range(0x80, 0xA0),
            *(0x061C, 0x200B, 0x200E, 0x200F, 0x2028, 0x2029, 0xFEFF),
            *range(0x202A, 0x202F),
            *range(0x2066, 0x206A),
        )
    },
    0x7F: "\u2421",
}


def cut(text: str, length: int) -> str:
    """Return ``text``, or its beginning and ``…``: at most ``length`` characters in all."""
    return text if len(text) <= length else f"{text[: length - 1]}\u2026"


def visible(text: str) -> str:
    """Return ``text`` with every character in it to be seen, and none that UTF-8 cannot hold."""
    return text.translate(_UNSEEN)
