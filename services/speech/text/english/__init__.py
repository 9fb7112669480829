"""How a speaker of English reads what is not written in words."""

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
"""Read by the first that knows a place: what is special stands before what is common."""
