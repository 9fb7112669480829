"""How a speaker of Chinese reads numbers, signs and abbreviations aloud."""

from services.speech.text.chinese import amounts, arithmetic, calendar, clock, identifiers, measures

RULES = (
    *identifiers.ADDRESSES,
    *calendar.RULES,
    *clock.RULES,
    *identifiers.RULES,
    *amounts.RULES,
    *measures.SIZES,
    *arithmetic.EXPRESSIONS,
    *measures.RULES,
    *identifiers.CODES,
    *arithmetic.RULES,
)
"""The first rule that matches a place reads it, so special rules precede general ones."""
