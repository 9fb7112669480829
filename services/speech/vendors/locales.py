"""Languages as vendors want them who always want a region and never a script."""

_USUAL = (
    "ar-EG ca-ES cs-CZ da-DK el-GR en-US et-EE ga-IE he-IL hi-IN ja-JP ko-KR ms-MY nb-NO pt-BR"
    " sl-SI sq-AL sr-RS sv-SE uk-UA vi-VN yue-CN zh-CN"
)
_REGIONS = dict(locale.split("-") for locale in _USUAL.split())
"""Of languages whose usual region is not called like them."""


def locale_of(language_code: str) -> str:
    """Return the locale for a language, in its usual region if it names none."""
    language, *subtags = language_code.split("-")
    regions = [each for each in subtags if len(each) == 2 or each.isdigit()]
    region = regions[0] if regions else _REGIONS.get(language.lower(), language)
    return f"{language.lower()}-{region.upper()}"
