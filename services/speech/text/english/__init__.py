"""How a speaker of English reads numbers, signs and abbreviations aloud."""

from services.speech.text.english import (
    abbreviations,
    amounts,
    arithmetic,
    calendar,
    clock,
    identifiers,
    measures,
)

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
    *abbreviations.RULES,
    *calendar.YEARS,
    *arithmetic.RULES,
)
"""The first rule that matches a place reads it, so special rules precede general ones."""
