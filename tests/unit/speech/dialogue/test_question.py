"""What a question asks for is recognised by its words, in English and Chinese."""

import pytest

from services.speech.dialogue.question import Kind, Question

ASKED = {
    Kind.AMOUNT: (
        "How much is a cup of tea?",
        "And what does the boat trip cost?",
        "Could you tell me how much I have to pay for a locker",
        "What's the price of the blue one?",
        "一杯茶多少钱？",
        "船票怎么收费",
        "寄存要收费吗？",
    ),
    Kind.NUMBER: ("How many rooms are there?", "你们一共有多少个房间？", "馆里有几位老师"),
    Kind.AGE: ("How old is this tree?", "这棵树有多少年历史？"),
    Kind.SPAN: ("How long does the film take?", "电影要放多长时间？", "这趟要走多久？"),
    Kind.FREQUENCY: ("How often should I water it?", "要隔多久浇一次水？"),
    Kind.MEASURE: ("How tall is the tower?", "How far is the beach?", "这座塔有多高？"),
    Kind.PERSON: (
        "Who built this bridge?",
        "What is the name of the cook?",
        "这座桥是谁造的？",
        "厨师叫什么名字？",
    ),
    Kind.PLACE: ("Where can I sit down?", "图书馆在哪里？"),
    Kind.FLOOR: ("Which floor is the library on?", "图书馆在几楼？"),
    Kind.TIME: (
        "In winter, when do you open?",
        "And when does it end?",
        "When does the boat leave?",
        "Until what time is dinner served?",
        "In which year was it founded?",
        "船几点开？",
        "是哪一年成立的？",
    ),
    Kind.CALL_NUMBER: ("What is your phone number?", "前台电话是多少？"),
    Kind.NOW: (
        "What time is it?",
        "What's the date today?",
        "Will it rain tomorrow?",
        "Who is the mayor?",
        "Who won the game last night?",
        "现在几点了？",
        "明天天气怎么样？",
        "今天有什么新闻？",
    ),
    Kind.POLAR: (
        "能拍几张照片吗？",
        "Is there a garden?",
        "Is there somebody who repairs bikes?",
        "Do you close when it is hot?",
        "May I bring my bike?",
        "And do you take cards?",
        "有花园吗？",
        "可不可以带自行车？",
    ),
    Kind.CHOICE: ("Which boat is faster?", "What kind of tea is it?", "哪条船更快？"),
    Kind.OPEN: (
        "What does a tree drink when it grows?",
        "Why does it float?",
        "What is it made of?",
        "How does it work?",
        "它为什么会浮？",
    ),
    Kind.IDENTITY: (
        "Are you a human?",
        "Am I talking to a robot?",
        "You are a machine, right?",
        "你是真人吗？",
        "我是在跟机器说话吗？",
    ),
    Kind.TALK: (
        "Good evening!",
        "I know what you mean.",
        "My brother could not come because he is ill.",
        "How are you?",
        "Do you like music?",
        "What do you think about it?",
        "Tell me another joke.",
        "Can you sing for me?",
        "What should I wear?",
        "你好！",
        "你喜欢音乐吗？",
        "我今天很高兴。",
        "再讲个笑话",
    ),
}


@pytest.mark.parametrize(
    ("text", "kind"), [(text, kind) for kind, texts in ASKED.items() for text in texts]
)
def test_the_kind_of_a_question(text: str, kind: Kind) -> None:
    assert Question.parse(text).kind is kind


def test_the_last_question_counts() -> None:
    assert Question.parse("Hello there. Where is it? How much is it? Thanks!").kind is Kind.AMOUNT


@pytest.mark.parametrize(
    ("text", "is_about_the_user"),
    [
        ("When is my exam?", True),
        ("What is the name of my dog?", True),
        ("What can I do with my dog?", False),
        ("When is the exam?", False),
        ("我妈妈叫什么名字？", True),
        ("药店在哪里？", False),
    ],
)
def test_what_only_the_user_can_know(text: str, is_about_the_user: bool) -> None:
    assert Question.parse(text).is_about_the_user is is_about_the_user


ANSWERS = [
    ("How much is it?", "It is nine dollars.", True),
    ("How much is it?", "It comes free with your ticket.", True),
    ("How much is it?", "Yes, it is beside the door.", False),
    ("Who made it?", "It was made by Anna Weber.", True),
    ("Who made it?", "It was made long ago.", False),
    ("Where is it?", "It is behind the stairs.", True),
    ("Where is it?", "It costs nine dollars.", False),
    ("When is it?", "It starts at three.", True),
    ("When is it?", "It is very nice.", False),
    ("How long is it?", "It takes forty minutes.", True),
    ("How long is it?", "It is there every day.", False),
    ("How often is it there?", "It is there every day.", True),
    ("要走多久？", "每天十一点开始。", False),
    ("How many rooms are there?", "It is on the second floor.", False),
    ("How tall is it?", "It is ten metres tall.", True),
    ("How tall is it?", "It costs ten euros.", False),
    ("What is your phone number?", "Dial five five five.", False),
    ("多少钱？", "一共九元。", True),
    ("多少钱？", "就在门口旁边。", False),
    ("几点开始？", "下午三点开始。", True),
    ("几点开始？", "很好看。", False),
    ("有多高？", "高十米。", True),
]


@pytest.mark.parametrize(("question", "sentence", "is_answer"), ANSWERS)
def test_a_sentence_answers_questions_of_its_kind(
    question: str, sentence: str, is_answer: bool
) -> None:
    assert Question.parse(question).is_answered_by(sentence) is is_answer
