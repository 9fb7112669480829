"""What recognisers write that nobody said is no word; words beside it are kept."""

import pytest

from services.speech.listening.annotations import without_annotations

NO_WORDS = [
    *("", ".", "...", "。", "-", "?!", "…", " \n"),
    *("[BLANK_AUDIO]", " [BLANK_AUDIO]", "BLANK_AUDIO", "[ Silence ]", "[MUSIC PLAYING]", "[Music"),
    *(" (upbeat music)", "(laughs) (coughs)", "(speaking in foreign language)", "(inaudible"),
    *("*coughs*", "* sighs *", "♪", "♪♪", "♪ la la la ♪", "🎵 We are the champions", "[♪♪♪]"),
    *("【音乐】", "（笑声）", "［掌声］", "（音乐）。", "〔噪音〕"),
    *("<|nospeech|>", "<|zh|><|NEUTRAL|><|BGM|><|woitn|>", "<sil>", "<unk>", "<unk> <unk>"),
    *("[UNK]", "[NOISE]", "{noise}", "<blank>", "</s>", "⁇", "[[noise]]", "<eps> [UNK] ."),
    *("language None<asr_text>", "😊", "🎼🎼", "🤧", "%noise%"),
    *("00:00:00,000 --> 00:00:02,000", "[00:00.000 --> 00:02.000]", "(no audible dialogue)"),
]
KEPT = [
    ("When do you open?", "When do you open?"),
    ("[laughs] When do you open?", "When do you open?"),
    ("When do you open? [laughs]", "When do you open?"),
    ("Well [coughs], when do you open?", "Well, when do you open?"),
    ("(clears throat) Hello (door closes) there", "Hello there"),
    ("*coughs* Hello.", "Hello."),
    ("♪ (music) ♪ When do you open?", "When do you open?"),
    ("<|en|><|HAPPY|><|Speech|><|withitn|>When do you open?", "When do you open?"),
    ("<|zh|><|NEUTRAL|><|Speech|><|woitn|>你们几点开门", "你们几点开门"),
    ("我<unk>想买票", "我想买票"),
    ("（笑声）你们几点开门？", "你们几点开门？"),
    ("language English<asr_text>Hi there.", "Hi there."),
    ("language Chinese<asr_text>你好。", "你好。"),
    ("你们几点开门？😊", "你们几点开门？"),
    (">> Hello.", "Hello."),
    ("I <unk> want two", "I want two"),
    ("Yes.", "Yes."),
    ("好", "好"),
    ("5", "5"),
    ("Call (555) 123-4567.", "Call (555) 123-4567."),
    ("It is 20 °C.", "It is 20 °C."),
    ("What is 2*3*4?", "What is 2*3*4?"),
    ("Is x < 3 and y > 2?", "Is x < 3 and y > 2?"),
    ("C++ or C#?", "C++ or C#?"),
    ("¿Qué hora es?", "¿Qué hora es?"),
    ("don't", "don't"),
    ("- Yes.", "- Yes."),
]


@pytest.mark.parametrize("text", NO_WORDS)
def test_marks_and_names_of_sounds_are_no_words(text: str) -> None:
    assert without_annotations(text) == ""


@pytest.mark.parametrize(("text", "words"), KEPT)
def test_words_are_kept_as_they_are(text: str, words: str) -> None:
    assert without_annotations(text) == words
