"""What recognisers write although nobody said it: annotations, and known hallucinations."""

import re
import unicodedata

from services.speech.text.segmentation import is_cjk

_TAGS = re.compile(
    r"^\s*language \w+\s*(?=<asr_text>)"  # Before the mark that says which language it is.
    r"|<[^<>]{0,60}>"  # <|zh|>, <unk>, <sil>
    r"|\[[^\[\]]*(?:\]|$)"  # [BLANK_AUDIO]; a recogniser may break off within one
    r"|【[^【】]*(?:】|$)|［[^［］]*(?:］|$)|〔[^〔〕]*(?:〕|$)|\{[^{}]*(?:\}|$)"
    r"|\((?![\d\s+./-]+\))[^()]*(?:\)|$)"  # (laughter), but not the (555) of a number
    r"|（(?![\d\s+./-]+）)[^（）]*(?:）|$)"
    r"|(?<![\w*])\*[^*\d]{1,60}\*(?![\w*])"  # *coughs*
    r"|[♩♪♫♬🎵🎶][^♩♪♫♬🎵🎶]*(?:[♩♪♫♬🎵🎶]|$)"  # What is sung
    r"|^\s*>>+"  # Another speaker
    r"|\bBLANK_AUDIO\b|[⁇�▁]"
)
_NESTED = 4
_LETTER = re.compile(r"[^\W_]")
_KEPT_SYMBOLS = frozenset("°℃℉№")
_EMOJI_STYLE = "\ufe0f"

_HALLUCINATIONS = {
    "en": """
        you|i|ah|the|bye|bye bye|music|applause|silence|beep|the end|foreign
        thank you|thank you very much|thank you so much|thanks|thank you bye
        thank you for watching|thanks for watching|thank you for listening|thanks for listening
        i'm sorry|sorry|i'll see you next time|see you next time|see you in the next video
        please subscribe|please subscribe to my channel|like and subscribe|don't forget to subscribe
        please like and subscribe|subscribe|i'll be right back|we'll be right back
        subtitles by the amara org community|transcription by castingwords
    """,
    "zh": """
        谢谢|谢谢观看|谢谢大家|谢谢收看|谢谢大家观看|感谢观看|感谢收看|感谢您的观看|多谢您的观看|多谢观看
        词曲|作词|作曲|作词作曲|词|曲|下集再见|下次再见|下期再见|我们下期再见|再见|啊|你
        请订阅|请点赞|订阅|点赞|请不吝点赞订阅转发打赏支持明镜与点点栏目|明镜需要您的支持欢迎订阅明镜
        字幕由amaraorg社区提供|优优独播剧场yoyotelevisionseriesexclusive|中文字幕|字幕
        以下是普通话的句子|这是普通话的句子
    """,
}
_CREDITS = re.compile(
    r"(字幕(by|志愿者|制作|组|由)|subtitles? by |captions? by |transcri(bed|ption) by )"
)


def without_annotations(text: str) -> str:
    """Return the words of a transcript alone; empty when it has none."""
    words = text
    for _ in range(_NESTED):
        stripped = _TAGS.sub(_gap, words)
        if stripped == words:
            break
        words = stripped
    if words != text:
        words = re.sub(r"\s+(?=[,.;:!?，。、；：！？])", "", re.sub(r"\s+", " ", words))
        words = words.lstrip(" ,.;:!?，。、；：！？-–—")
    words = "".join(each for each in words if not _is_ornament(each)).strip()
    return words if _LETTER.search(words) else ""


def is_hallucination(text: str) -> bool:
    """Whether recognisers are known to make these words up where nobody speaks."""
    lowered = text.lower().replace("’", "'")
    if _CREDITS.search(lowered):
        return True
    sentences = [_plain(each) for each in re.split(r"[.!?。！？\n]+", lowered)]
    whole = _plain(lowered)
    return whole in _KNOWN or all(each in _KNOWN for each in sentences if each)


def _gap(tag: re.Match[str]) -> str:
    """Return what replaces a tag: nothing within a script without spaces."""
    before, after = tag.string[: tag.start()][-1:], tag.string[tag.end() :][:1]
    return "" if before and after and is_cjk(before) and is_cjk(after) else " "


def _is_ornament(character: str) -> bool:
    """Whether it is an emoji or the like, with which some recognisers denote moods and sounds."""
    if character in _KEPT_SYMBOLS:
        return False
    return unicodedata.category(character) in ("So", "Co", "Cn") or character == _EMOJI_STYLE


def _plain(text: str) -> str:
    """Return the words alone, without spaces in scripts that have none."""
    words = " ".join(re.findall(r"[^\W_]+(?:'[^\W_]+)*", text))
    return words.replace(" ", "") if words and is_cjk(words[0]) else words


_KNOWN = frozenset(
    _plain(each.strip())
    for lines in _HALLUCINATIONS.values()
    for line in lines.strip().splitlines()
    for each in line.split("|")
)
