"""Arrays that several processes read from one file."""

from typing import NamedTuple

import numpy as np
import pytest

from flows.mapped import ARRAYS, read_mapped, write_mapped


class Pair(NamedTuple):
    name: str
    values: np.ndarray
    other: np.ndarray


def test_a_value_comes_back_with_its_types(tmp_path):
    kept = Pair("a", np.zeros(3, dtype=np.uint8), np.array([[1.5, np.nan], [0.0, -2.0]]))
    write_mapped(kept, tmp_path)
    back = read_mapped(tmp_path)
    assert back.name == "a"
    for one, other in zip(kept[1:], back[1:], strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
        # Numba would compile its functions again for arrays that are read-only or not aligned.
        assert other.flags.writeable
        assert other.flags.aligned


def test_the_arrays_are_in_the_file_and_nowhere_else(tmp_path):
    values = np.arange(100_000)
    write_mapped({"values": values}, tmp_path)
    assert (tmp_path / ARRAYS).stat().st_size == pytest.approx(values.nbytes, abs=200)
    others = [path.stat().st_size for path in tmp_path.iterdir() if path.name != ARRAYS]
    assert sum(others) < 1_000


def test_what_one_reader_writes_no_other_sees(tmp_path):
    write_mapped(np.zeros(3), tmp_path)
    one, other = read_mapped(tmp_path), read_mapped(tmp_path)
    one[0] = 1.0
    assert other.tolist() == read_mapped(tmp_path).tolist() == [0, 0, 0]


@pytest.mark.parametrize("value", ["no array", np.zeros(0), {"empty": np.zeros((0, 2))}])
def test_a_value_without_any_number_comes_back(value, tmp_path):
    write_mapped(value, tmp_path)
    np.testing.assert_equal(read_mapped(tmp_path), value)
