"""Vectors that are kept across restarts."""

from pathlib import Path

import numpy as np
import pytest

from services.speech.embedded.vectors import MOST_KEPT, VectorFile, digest, missing


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    vectors = {digest(text): np.array([at, 1], np.float32) for at, text in enumerate("ab")}
    VectorFile(tmp_path / "new" / "v.npz").write(vectors)
    kept = VectorFile(tmp_path / "new" / "v.npz").read()
    assert {name: each.tolist() for name, each in kept.items()} == {
        digest("a"): [0, 1],
        digest("b"): [1, 1],
    }
    assert missing(["b", "c", "a", "c"], kept) == ["c"]


@pytest.mark.parametrize("damaged", [b"", b"no archive", b"PK\x03\x04 broken off"])
def test_a_damaged_file_counts_as_empty(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "v.npz"
    path.write_bytes(damaged)
    assert VectorFile(path).read() == {}


def test_a_folder_that_cannot_be_written_is_not_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    VectorFile(tmp_path / "file" / "v.npz").write({digest("a"): np.zeros(2, np.float32)})


def test_the_last_ones_are_kept(tmp_path: Path) -> None:
    vectors = {str(at): np.zeros(1, np.float32) for at in range(MOST_KEPT + 1)}
    VectorFile(tmp_path / "v.npz").write(vectors)
    assert "0" not in VectorFile(tmp_path / "v.npz").read()
