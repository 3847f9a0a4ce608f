"""Random123's known answers for philox4x32-10, and TensorFlow's use of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core import reference
from tests.core.cases import core

ONES = 0xFFFFFFFF
# counter, key, block: kat_vectors of Random123.
KNOWN = [
    ([0, 0, 0, 0], [0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([ONES] * 4, [ONES] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]

word = st.integers(0, ONES)


@pytest.mark.parametrize("counter, key, block", KNOWN)
def test_known_answers(counter, key, block):
    assert core.philox(counter, key).tolist() == block
    assert reference.philox(np.uint32(counter), key).tolist() == block


@given(st.lists(word, min_size=4, max_size=4), st.lists(word, min_size=2, max_size=2))
def test_equals_reference(counter, key):
    expected = reference.philox(np.uint32(counter), key)
    assert core.philox(counter, key).tolist() == expected.tolist()


@pytest.mark.parametrize(
    "counter, key",
    [
        ([0, 0, 0], [0, 0]),
        ([0] * 4, [0]),
        ([0, 0, 0, -1], [0, 0]),
        ([0] * 4, [0, 2**32]),
        ([0, 0, 0, 1.5], [0, 0]),
        (None, [0, 0]),
        ("abcd", [0, 0]),
    ],
)
def test_refuses_other_words(counter, key):
    with pytest.raises(ValueError, match=r"philox: .* 32 bits, unsigned\. Received: "):
        core.philox(counter, key)
