"""A number has come back by ear when each of its digits has, however it is spelled."""

import pytest

from tests.support.spoken import HeardSentence


@pytest.mark.parametrize(
    ("language", "spoken", "heard", "came_back"),
    [
        ("zh", "请拨打幺幺九。", "请波打119。", True),
        ("zh", "请拨打幺幺九。", "情不打要要久。", True),
        ("zh", "请拨打幺幺九。", "请拨打要久。", False),
        ("zh", "请拨打幺幺九。", "请拨打要要求。", False),
        ("zh", "请拨打幺幺九。", "请拨打117。", False),
        ("zh", "邮编是幺零零零八零。", "右边是要零零零八零", True),
        ("zh", "邮编是幺零零零八零。", "右边是要0080", False),
        ("zh", "火车十七点四十五分出发。", "火车时7.45分出发。", True),
        ("zh", "火车十七点四十五分出发。", "火车是7.45分出发。", False),
        ("zh", "火车十七点四十五分出发。", "火车7.45分出发。", False),
        ("zh", "气温是负五摄氏度。", "气温是附武设施度。", True),
        ("zh", "气温是负五摄氏度。", "气温是附近设施度。", False),
        ("zh", "课程需要十到十二周。", "课程需要10-12周。", True),
        ("zh", "课程需要十到十二周。", "课程需要10-20周。", False),
        ("en", "The address is one, dot one.", "The address is 1.1.", True),
        ("en", "The address is one, dot one.", "The address is 1.1.1.", False),
    ],
)
def test_what_sounds_like_the_number_is_the_number(
    language: str, spoken: str, heard: str, came_back: bool
) -> None:
    sentence = HeardSentence(language=language, written="", spoken=spoken, heard=heard)
    assert sentence.came_back is came_back
