"""How a speaker of Chinese reads what is not written in words."""

from services.speech.text.chinese import amounts, arithmetic, calendar, identifiers, measures

RULES = (
    *identifiers.ADDRESSES,
    *calendar.RULES,
    *identifiers.RULES,
    *amounts.RULES,
    *measures.SIZES,
    *arithmetic.EXPRESSIONS,
    *measures.RULES,
    *identifiers.CODES,
    *arithmetic.RULES,
)
"""Read by the first that knows a place: what is special stands before what is common."""
