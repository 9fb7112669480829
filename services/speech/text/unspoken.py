"""What a reply writes but nobody says: control tokens, citations, stage directions, pictograms."""

import html
import re

from services.speech.text.alignment import replace, rule

_ACTS = (
    "smil(?:es|ing)|laugh(?:s|ing)|chuckl(?:es|ing)|giggl(?:es|ing)|grin(?:s|ning)"
    "|sigh(?:s|ing)|nod(?:s|ding)|wink(?:s|ing)|wav(?:es|ing)|paus(?:es|ing)|cough(?:s|ing)"
    "|shrug(?:s|ging)|gasp(?:s|ing)|whisper(?:s|ing)|blink(?:s|ing)|frown(?:s|ing)"
    "|bow(?:s|ing)|clap(?:s|ping)|applau(?:ds|ding)|beam(?:s|ing)|blush(?:es|ing)|yawn(?:s|ing)"
    "|gestur(?:es|ing)|smirk(?:s|ing)|groan(?:s|ing)|sniff(?:s|ing)|snort(?:s|ing)|hug(?:s|ging)"
    r"|clear(?:s|ing) (?:(?:his|her|their|my|its) )?throat|tak(?:es|ing) a (?:deep )?breath"
    r"|lean(?:s|ing) (?:in|forward|back|closer)|look(?:s|ing) (?:around|away|up|down|at you)"
    r"|(?:tilt(?:s|ing)|shak(?:es|ing)) (?:his|her|their|my|its|the) head"
    r"|rais(?:es|ing) (?:an )?eyebrows?"
)
_MANNER = (
    r"[a-z]{2,12}ly|at (?:you|him|her|them|me|us)|to (?:you|him|her|my|them)sel(?:f|ves)"
    r"|(?:his|her|their|my|its|the) (?:head|hands?|shoulders|eyes?)|for a (?:moment|second|beat)"
    r"|in (?:agreement|approval|surprise|relief|amusement|thought|understanding|return)"
    rf"|a (?:bit|little)|with a (?:smile|grin|wink|laugh|sigh)|and (?:{_ACTS})"
)
_EN_DIRECTION = (
    # A sentence may begin with "Smiling" or "Waves", but not in lower case.
    r"(?![A-Z][a-z]*ing\b(?! )|(?:Waves|Beams|Bows)\b(?! ))"
    rf"(?i:(?:[a-z]{{2,12}}ly )?(?:{_ACTS})(?:,? (?:{_MANNER})){{0,2}})"
)
_ZH_ACTS = (
    "微笑|(?:哈哈)?大笑|轻笑|苦笑|笑了?笑|点头|点了?点头|摇头|摇了?摇头|叹气|叹了?口气|挥手|招手|鼓掌|眨眼|眨了?眨眼"
    "|清了?清嗓子|耸肩|鞠躬|皱眉|挠头|哽咽|脸红|笑"
)
_ZH_NOUNS = "停顿|咳嗽|沉默|沉思|思考"
"""Acts whose names are those of things as well: only what follows tells that one does them."""
_ZH_DIRECTION = (
    r"(?:(?:[一-龥]{1,4}[地着的]|轻轻|微微)?"
    rf"(?:(?:{_ZH_ACTS})(?:着|了|一下|片刻|中|道)?|(?:{_ZH_NOUNS})(?:了(?:一下|片刻)?|一下|片刻)))"
)
_ACT = rf"(?:{_EN_DIRECTION}|{_ZH_DIRECTION})"
_SOUNDS = "laughter|laugh|chuckle|applause|sigh|gasp|cough|music|pause|silence|笑声|掌声"
"""What is heard, in square brackets, as in transcripts."""
DIRECTION = re.compile(
    r"(?:^|(?<=[!?…。！？\"”])|(?<=[^\d\n]\.)|(?<=[!?…。！？\"”]\s)|(?<=[^\d\n]\.\s)"
    r"|(?<=[.!?…。！？\"”]\n\n))"
    rf"(?:([*_]){_ACT}[.。…]{{0,3}}\1"
    rf"|\({_ACT}\)|（{_ACT}）|\[(?:{_ACT}|{_SOUNDS})\]|【{_ACT}】|\{{{_ACT}\}})"
    r"(?=\s*(?:$|\n)|\s+(?:\*\*)?[A-Z\"“]"
    r"|(?:(?<![】\]])|\s+)(?:(?<=）)(?![是为的键按等表代意])|(?=是[的啊呀]|不(?:客气|用|是|行|会)|有的|可以|会的)"
    r"|(?![是为的键按和与或等可能会有也不在让使了着过就都需表代意并来]))[一-龥])"
)
"""What a speaker does rather than says: alone between sentences, never bold.

He *laughs* at it, and *Laughter* is the best medicine.
"""


_OPENERS = frozenset("*_(（[【{")
"""One of these begins each direction."""


def without_directions(text: str) -> str:
    """Return a text of the same length with silent characters for its stage directions."""
    if _OPENERS.isdisjoint(text):
        return text
    return DIRECTION.sub(lambda match: "\u200b" * len(match[0]), text)


def _unescaped(match: re.Match[str]) -> str | None:
    character = html.unescape(match[0])
    return character if character != match[0] else None


def _cited(match: re.Match[str]) -> str | None:
    """Leave out a citation, but not what the sentence needs, see [1], nor an index: arr[1]."""
    before = _SENTENCE_ENDS.split(match.string[max(0, match.start() - 200) : match.start()])[-1]
    after = _SENTENCE_ENDS.split(match.string[match.end() : match.end() + 200])[0]
    is_code = _CODE.search(before) or _INDEXED.search(before + after)
    is_needed = is_code or _REFERRING.search(before)
    return "" if _WORDS.search(before) and not is_needed else None


_SENTENCE_ENDS = re.compile(r"[.!?;]\s|\n")


_REFERRING = re.compile(
    r"\b(?:see|in|by|to|of|from|and|or|with|between|than|at|on|the|a|is|are|was|be|equals?|gives"
    r"|returns?|prints?|contains|say|ref\w*|note|cf\.?|press|type|enter|select|choose|click|push|dial"
    r"|reply|hit|tap|pick|array|list|vector|tuple|set|range|interval|items?|options?|steps?|numbers?"
    r"|sections?|figures?|tables?|equations?|pages?|rooms?|chapters?|lines?|questions?|answers?|slides?"
    r"|levels?|gates?|parts?|verses?|volumes?|units?|lessons?|examples?|rules?|points?|boxes|box|row"
    r"|columns?|cells?|keys?|buttons?|grades?|cases?|sources?|footnotes?|appendix|paragraphs?"
    r"|exercises?|problems?|tasks?|choices?|versions?|floors?|seats?|platforms?|no|it|bus|train|tram"
    r"|route|flight|track|lane|exit|day|week|year|groups?|teams?|players?|sizes?|types?|class)$",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"[_={}(]\w*$|= ?\w+$|(?-i:[a-z][A-Z])\w*$|\w\.\w+$|(?<!\s)\(\w*\)$"
    r"|\b(?:arr\w*|lists?|lst|tuples?|vec\w*|matrix|dicts?|maps?|idx|index(?:es)?|indices|elements?"
    r"|items?|args|argv|nums|vals?|values?|variables?|str|strings?|buf\w*|dp|memo|df|obj|params"
    r"|code|functions?|loops?|python|javascript|java|print\w*|access\w*|assign\w*|slot|entry)\b",
    re.IGNORECASE,
)
_INDEXED = re.compile(r"\w\[(?:0|-\d{1,3}|[a-z]|-?\d{0,3}:-?\d{0,3})\]")
"""What no citation is: the first of a list, one from its end, a slice."""
_WORDS = re.compile(r"\w\W+\w+\W+(?:[A-Za-z]+[)\"”]?|\d[\d.,]*%?)$")
_CITATIONS = r"(?:\[[1-9]\d?(?:[,–-] ?[1-9]\d?){0,9}\]){1,9}"

UNSPOKEN = (
    # A model's control tokens, and the names within them.
    replace(
        r"<[|｜][^<>\s]{1,40}[|｜]>"
        r"(?:(?:system|user|assistant|final|analysis|commentary)(?=\s|$|<[|｜]))?",
        "",
    ),
    replace(r"</?(?:s|eos|bos|pad|unk|(?:start|end)_of_(?:turn|text))>(?:(?:user|model)\b)?", ""),
    replace(r"<[|｜]\w{0,40}[|｜]?$|\[/?(?:INST|SYS)\]|<</?SYS>>", ""),
    replace(r"\[(?:BOS|EOS|PAD|UNK|SEP|CLS|DONE)\]|<0x[0-9A-F]{2}>", ""),
    # An entity within HTML, or one that was escaped twice.
    rule(r"&(?:[A-Za-z][A-Za-z0-9]{1,7}|#\d{1,6}|#x[0-9A-Fa-f]{1,5});", _unescaped),
    # Where a link leads, and what a text refers to.
    replace(r"(?<![^\n. ])\[[^\[\]\n]{1,40}\]:\s{0,9}(?:https?://|www\.)[^\s]{1,500}", ""),
    replace(r"\[\^[^\[\]\s]{1,20}\]:?|【[^【】\n]{0,20}†[^【】\n]{0,60}】", ""),
    replace(
        rf"(?:(?<=[.!?…”。！？，）])|(?<=[.!?]\")){_CITATIONS}"
        r"|(?<=[一-龥])(?<!文献)(?<![图表式例见按选择是题页章节步为用到于入复号在和或与及考如组间层楼座位行列课条项])"
        rf"{_CITATIONS}(?=[\s。，；：！？]|$)",
        "",
    ),
    rule(rf"(?<=[A-Za-z][A-Za-z)\"]){_CITATIONS}(?=[.!?][\s\"”]|[.!?]?$)", _cited),
    rule(
        rf"(?<=[a-z0-9)%][a-z0-9)%]) {_CITATIONS}"
        r"(?=[.,;!?]|$| (?:and|but|or|while|although|which|whereas|because|so)\b)",
        _cited,
    ),
    # The line below a table's header, when it was cut off from the header.
    replace(r"\|[ |:-]*-[ |:-]*\||^[|:-]*--[|:-]*$", " "),
    # Highlights and subscripts of Markdown's dialects.
    replace(r"(?<!\S)==(?=[^\s=])|(?<=[^\s=])==(?!\S)", ""),
    rule(r"(?<=[A-Za-z])~(\d{1,3})~", lambda match: match[1]),
    # Faces written with marks, at the end of a word or alone, and the names of pictograms.
    replace(r"(?<![\w:;])[:;]-?[()DP](?!\w)", ""),
    replace(r"(?<![\w:]):[a-z][a-z_]{1,30}:(?![\w:])", ""),
    # An arrow leads from one step to the next.
    replace(
        r"(?<=\S)\s{0,9}(?:[\u2190\u2192\u21d2\u27f6\u27a1]\ufe0f?|<?[-=]{1,2}>)\s{0,9}"
        r"(?=[\w一-龥])",
        ", ",
    ),
    replace(r"(?<![^\s])[-=]{1,2}>\s?", ""),
    replace(r"(?<=[A-Za-z][A-Za-z]) > (?=[A-Za-z][A-Za-z])|(?<=[一-龥])\s?>\s?(?=[一-龥])", ", "),
    # Digits on keys number the items of a list.
    rule(
        "(?:^|(?<=[:：。！] )|(?<=[:：。！]))([0-9])\ufe0f?\u20e3 ", lambda match: f"{match[1]}. "
    ),
    # Pictograms, except digits in circles, which are numbers, and arrows up or down to a number.
    replace(
        "(?:(?![↑↓▲▼]\\s?\\d)[\U0001f000-\U0001faff\u2190-\u21ff\u2300-\u23ff\u2500-\u2775\u2794-\u27bf"
        "\u2b00-\u2bff\u200b-\u200f\u2060\ufeff\ufe0e\ufe0f\u20e3\U000e0020-\U000e007f])+",
        "",
    ),
)
"""Read after Markdown, and before the grammars."""
