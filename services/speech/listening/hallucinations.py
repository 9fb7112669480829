"""Sentences that recognisers are known to make up where nobody speaks.

They learned from subtitled videos: over silence or music, these thank for watching, ask to
subscribe, name who wrote them, or name the music.
"""

import re

from services.speech.text.segmentation import is_cjk

_SENTENCES = {
    "en": """
        you|i|the|so|ah|uh|um|hm|hmm|mm|huh|bye|bye bye|foreign|the end|blank audio|no speech
        applause|silence|beep|inaudible|thank you|thank you very much|thank you so much|thanks
        thank you bye|thanks bye|thank you all|i'm sorry|sorry
        i'll be right back|we'll be right back
        i'm going to go ahead and get started|the following is a conversation
        no speech detected|background noise|noise|laughter|null|to be continued|stay tuned
        in this video|subscribe|ming pao canada ming pao toronto
    """,
    "zh": """
        谢谢|谢谢大家|多谢大家|再见|你|啊|嗯|呃|哦|唔|词|曲|词曲|作词|作曲|作词作曲|音乐|掌声|笑声|静音
        拜拜|杂音|噪音|背景音乐|编曲|完|本集完|全剧终|剧终|敬请期待
        字幕|中文字幕|未完待续|下集待续|订阅|点赞|打赏支持|明报加拿大
        以下是普通话的句子|这是普通话的句子|优优独播剧场yoyotelevisionseriesexclusive
    """,
    "other": """
        merci|merci beaucoup|vielen dank|danke|gracias|obrigado|grazie|спасибо|감사합니다
        ありがとうございました|ご視聴
    """,
}
"""Sentences that are made up as a whole, and are too short to find parts of them elsewhere."""

_TO_VIEWERS = {
    "en": r"""
        thank(?:s| you)(?: (?:very|so) much)?(?: guys| everyone| all)? for (?:watching|listening)
        thank(?:s| you)(?: (?:very|so) much)?(?: guys| everyone| all)? for (?:viewing|tuning in)
        thank(?:s| you)(?: (?:very|so) much)?(?: guys| everyone| all)? for your attention
        (?:i'll |we'll )?(?:see|catch) (?:you|ya)(?: guys| all)?(?: in the)? next (?:time|one)
        (?:i'll |we'll )?(?:see|catch) (?:you|ya)(?: guys)? in (?:the|my) next (?:video|episode)
        (?:like|comment|share|subscribe)(?:(?: and)? (?:like|comment|share|subscribe)){1,3}
        (?:(?:please|don't forget to|remember to) )?subscribe to (?:my|our|the|this) channel
        (?:please|don't forget to|remember to|make sure to|be sure to) (?:like|subscribe)
        (?:hit|click|press|smash) (?:the|that) (?:like|subscribe|notification|bell) (?:button|icon)
        ring the bell|turn on (?:the |post )?notifications
        welcome (?:back )?to (?:my|our|another) (?:channel|video|episode)
        check out (?:my|our) (?:other |latest )?(?:videos?|channel)
        (?:check out )?(?:the )?links? (?:is |are )?(?:in the description|below)(?: below)?
        (?:leave|drop) (?:a|your) comments? (?:down )?below
        let (?:me|us) know (?:what you think )?in the comments?(?: section)?(?: (?:down )?below)?
        follow (?:me|us) on (?:instagram|twitter|facebook|tiktok|youtube)
        (?:i'll|we'll) be right back after (?:this|the break)
        this video is (?:brought to you|sponsored|presented) by
        if you (?:liked?|enjoy(?:ed)?) (?:this|the|my|our) (?:video|episode)
        i hope you (?:liked?|enjoy(?:ed)?) (?:this|the|my|our) (?:video|episode)
    """,
    "zh": r"""
        (?:谢谢|多谢|感谢)(?:大家|各位|您|你们?|朋友们|观众朋友们)?的?(?:观看|收看|收听|聆听|关注|订阅)
        (?:下[期集次]|下一[期集]|下个)(?:视频|节目)?(?:再见|见(?!面))
        (?:今天的?|本期|这期)的?(?:视频|节目|影片|分享|内容)就?先?(?:到这里|到此结束|到此为止|到这)
        (?:免费|点击)?(?:订阅|关注)(?:我们?的|本|这个)?频道|免费订阅|点击关注
        欢迎(?:来到|回到)(?:我们?的|本)?频道|欢迎(?:收看|收听|观看)
        以上就是(?:今天|本期|这期)(?:的?(?:视频|节目|分享))?的?(?:全部|所有)?内容
        (?:请|欢迎|记得|不吝|别忘了)(?:点赞|订阅|转发|关注|收藏|打赏|分享)
        (?:点赞|订阅|转发|关注|收藏|打赏|分享|投币|评论){2,8}
        支持明镜与点点栏目|明镜需要您的支持|订阅明镜|一键三连
    """,
}
"""Phrases that only viewers are told."""

_AROUND_THEM = {
    "en": r"""
        and|so|well|ok|okay|all right|please|don't forget to|remember to|bye|bye bye|guys|everyone
        hey|hi|hello|everybody|what's up|in this video|this video|my video|this episode
        today|then|thank you|thanks|for more|for more videos|below|comment|share|like|subscribe
    """,
    "zh": r"""
        大家好|你们?好|各位|好的?|了|那么?|就|我们|咱们|请|欢迎|记得|大家|也|非常|再次|和|点赞|订阅|转发|关注|打赏|支持|谢谢
        喜欢的话|我的|我们的|本|频道|明镜
    """,
}
"""Words that may stand around them; alone, they are no invention."""

_SOUNDS = r"""
    (?:(?:upbeat|soft|gentle|light|dramatic|tense) )?music(?: playing| plays| continues)?
    (?:ambient|background|piano|rock|electronic|classical|instrumental) music(?: playing)?
    (?:suspenseful|orchestral|dramatic) music(?: playing)?
    (?:ominous|eerie|intro|outro|theme|sad|slow|calm|soft piano) music(?: playing| plays)?
    audience (?:laughing|clapping|applauding)|(?:phone|bell) ringing|birds chirping|wind blowing
    speak(?:ing|s) in (?:a )?foreign language|foreign language
"""

_CREDITS = re.compile(
    r"字幕(?:by|志愿者|制作|组\W*$|由|提供|翻译|校对|[:：])"
    r"(?!.*(?:[吗呢谁哪几请帮想要能?？]|怎么|什么|多少))"
    r"|^(?:中文|繁体|简体)字幕\s+(?!怎么|在哪|有|谢谢|请)\w"
    r"|^by ?索兰娅|^subtitles? (?:made )?by (?!default)|^captions? by (?!default)"
    r"|^captioned by |^subs by "
    r"|^translated by \w+(?: \w+)?\W*$|^(?:copyright|©)\W*(?:\d{4}|$)"
    r"|^(?:please )?visit www\.|^for more [\w ]{1,30} visit |明镜与点点|优优独播剧场"
    r"|^(?:作?词|作?曲|词曲|作词作曲|编曲|监制)(?:[:：]\W*|\s+)(?!.*[谁吗呢什])[\u4e00-\u9fff]{1,4}$"
    r"|^transcri(?:bed|ption) by |amara\.org|otter\.ai|castingwords|mooji\.org|yoyo television"
    r"|transcript emily beynon|^copyright (?:wdr|bbc|zdf|swr|ard)|^untertitel(?: der| von| im)"
    r"|^sous-titr\w+ (?:par(?! défaut)|réalis)|^subtítulos (?:por(?! favor| defecto)|realizados)"
    r"|^sottotitoli (?:e revisione|a cura|creati)"
    r"|ご[視视]聴ありがとう|チャンネル登録|시청해 ?주셔서|mbc 뉴스.*입니다"
    r"|продолжение следует|редактор субтитров|субтитры (?:сделал|создавал)|спасибо за просмотр"
    r"|gracias por (?:ver|mirar)|obrigad[oa] por assistir|^legendas (?:pela|por(?! favor))"
    r"|napisy stworzone"
    r"|merci d'avoir regardé|danke fürs zuschauen"
)
_LOOP = re.compile(
    r"((?![\d零一二三四五六七八九十对好是行不没快来停]|(?:no|yes|yeah|ok|okay|stop|wait|go)\b)\w.{0,23}?)"
    r"(?:\W*\1){3,}"
    r"|((?![\d零一二三四五六七八九十])\w.{11,79}?)(?:\W*\2){2,}|[啊呃]{3,}|[哈呵]{4,}"
)
"""The same words four times or more and nothing else, or a sentence three times: a recogniser is
caught in them."""


def is_hallucination(text: str) -> bool:
    """Whether recognisers are known to make these words up where nobody speaks."""
    lowered = _simplified(text.lower().replace("’", "'"))
    if _CREDITS.search(lowered) or _LOOP.fullmatch(lowered.strip(" .,!。，！")):
        return True
    sentences = [_plain(each) for each in re.split(r"[.!?。！？\n]+", lowered)]
    whole = _plain(lowered)
    return _is_known(whole) or all(_is_known(each) for each in sentences if each)


def _is_known(words: str) -> bool:
    """Whether words are such a sentence, or nothing but such phrases."""
    if words in _KNOWN or _SOUND.fullmatch(words):
        return True
    rest, count = _PHRASE.subn(" ", words)
    return count > 0 and not _AROUND.sub("", rest).strip()


def _simplified(text: str) -> str:
    """Return the characters of these sentences in their simplified form."""
    return text.translate(_TRADITIONAL)


_TRADITIONAL = str.maketrans(
    "謝觀請閱訂點贊轉發關賞幫歡記視頻節輯詞樂聲靜話這裡為個見優獨劇場組製譯對願鏡與歡續報體給聽簡別過",
    "谢观请阅订点赞转发关赏帮欢记视频节辑词乐声静话这里为个见优独剧场组制译对愿镜与欢续报体给听简别过",
)


def _plain(text: str) -> str:
    """Return the words alone, without spaces in scripts that have none."""
    words = " ".join(re.findall(r"[^\W_]+(?:'[^\W_]+)*", text))
    return words.replace(" ", "") if words and is_cjk(words[0]) else words


def _alternatives(lines: str) -> str:
    return "|".join(each.strip() for each in lines.strip().splitlines())


def _either(table: dict[str, str]) -> re.Pattern[str]:
    english, chinese = (_alternatives(table[language]) for language in ("en", "zh"))
    return re.compile(rf"(?<!\S)(?:{english})(?!\S)|{chinese}")


_PHRASE, _AROUND = _either(_TO_VIEWERS), _either(_AROUND_THEM)
_SOUND = re.compile(_alternatives(_SOUNDS))
_KNOWN = frozenset(
    _plain(each.strip())
    for lines in _SENTENCES.values()
    for line in lines.strip().splitlines()
    for each in line.split("|")
)
