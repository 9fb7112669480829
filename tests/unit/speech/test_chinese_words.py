import marshal
import os
import subprocess
import sys
from pathlib import Path

import jieba

from services.speech.chinese_words import TaggedWord, load_dictionary, split_words, tag_words

SENTENCE = "小王在上海参观展览。"
PROGRAM = f"from services.speech.chinese_words import tag_words; list(tag_words({SENTENCE!r}))"

THREADS = """
import threading
import jieba
from services.speech.chinese_words import split_words
read = []
own_way = jieba.dt.get_dict_file
jieba.dt.get_dict_file = lambda: (read.append(1), own_way())[1]
threads = [threading.Thread(target=split_words, args=("你好",)) for _ in range(4)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(len(read))
"""


def test_a_text_is_split_into_words() -> None:
    words = split_words(SENTENCE)
    assert "".join(words) == SENTENCE
    assert {"参观", "展览", "。"} <= set(words)


def test_names_of_places_are_tagged() -> None:
    words = list(tag_words(SENTENCE))
    assert "".join(word.text for word in words) == SENTENCE
    assert TaggedWord(text="上海", tag="ns") in words


def test_a_dictionary_that_others_have_put_among_temporary_files_is_not_read(
    tmp_path: Path,
) -> None:
    planted = tmp_path / "jieba.cache"
    planted.write_bytes(marshal.dumps(({}, 0)))
    subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    assert list(tmp_path.iterdir()) == [planted]


def test_threads_read_the_dictionary_once_among_them() -> None:
    done = subprocess.run(
        [sys.executable, "-c", THREADS],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "1\n"


def test_the_library_still_finds_its_dictionary() -> None:
    load_dictionary()
    with jieba.dt.get_dict_file() as file:
        assert file.read(1)
