"""What recognisers make up over silence and music is known, and not confused with answers."""

import pytest

from services.speech.listening.hallucinations import is_hallucination

MADE_UP = [
    "Thanks for watching!",
    "Thank you for watching.",
    "you",
    "I'm sorry.",
    "I’m sorry.",
    "I'm sorry. I'm sorry.",
    "Thank you. Bye.",
    "Please subscribe to my channel.",
    "Subtitles by the Amara.org community",
    "谢谢观看",
    "谢谢 观看。",
    "词曲",
    "谢谢大家！",
    "字幕志愿者 李宗盛",
    "字幕by索兰娅",
    "请不吝点赞 订阅 转发 打赏支持明镜与点点栏目",
    "以下是普通话的句子。",
    "Thank you for watching and see you next time.",
    "Thank you so much for watching.",
    "Thanks for watching, don't forget to like and subscribe!",
    "Please like, comment and subscribe.",
    "Thanks for watching and I'll see you in the next video.",
    "If you enjoyed this video, please subscribe.",
    "Don't forget to subscribe and hit the bell icon.",
    "We'll see you in the next one.",
    "Thank you for your attention.",
    "Transcribed by https://otter.ai",
    "www.mooji.org",
    "transcript Emily Beynon",
    "upbeat music",
    "Soft piano music playing",
    "Um.",
    "The the the the the",
    "Thank you thank you thank you thank you",
    "啊啊啊啊啊啊",
    "嗯。",
    "谢谢大家的收看",
    "感谢您的收看，下期再见。",
    "本期视频就到这里",
    "好了，今天的视频就到这里，感谢大家的观看，我们下期再见！",
    "謝謝觀看",
    "字幕志願者",
    "優優獨播劇場——YoYo Television Series Exclusive",
    "點贊訂閱",
    "喜欢的话请点赞订阅",
    "明镜需要您的支持 欢迎订阅明镜",
    "小編字幕由 Amara.org 社群提供",
    "ご視聴ありがとうございました",
    "시청해주셔서 감사합니다",
    "Untertitel der Amara.org-Community",
]
SAID = [
    "Yes.",
    "No.",
    "Five.",
    "Anna.",
    "Stop.",
    "好。",
    "是。",
    "五。",
    "王明。",
    "Why?",
    "Thank you, when do you open?",
    "I'm sorry, what was that?",
    "you are right",
    "谢谢，几点",
    "Please.",
    "Okay.",
    "Today.",
    "Comment.",
    "Like this one?",
    "How do I subscribe to the newsletter?",
    "I want to subscribe to your channel",
    "Is there music?",
    "What music is playing?",
    "See you tomorrow.",
    "No no no",
    "8 8 8 8",
    "1111",
    "五五五五",
    "怎么订阅？",
    "有中文字幕吗",
    "字幕怎么打开",
    "分享",
    "我要关注这个展览",
    "音乐会几点开始",
    "谢谢你的支持",
    "下期什么时候",
    "我们下次见面在哪",
    "好了",
    "Do you translate subtitles?",
]


@pytest.mark.parametrize("text", MADE_UP)
def test_known_inventions_are_known(text: str) -> None:
    assert is_hallucination(text)


@pytest.mark.parametrize("text", SAID)
def test_answers_are_no_inventions(text: str) -> None:
    assert not is_hallucination(text)


@pytest.mark.parametrize(
    "unit", ["subscribe ", "thank you for watching ", "点赞", "好了", "a ", "ab"]
)
def test_no_text_takes_long_to_judge(unit: str) -> None:
    # With a pattern that backtracks this takes minutes, and so hits the time-out.
    assert not is_hallucination((unit * 4_000)[:4_000] + "我想买票")
