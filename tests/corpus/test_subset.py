"""The same texts every time, and fewer are a part of more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner.corpus.subset import subset

pytestmark = pytest.mark.torchfree


@given(st.integers(0, 200), st.integers(0, 250), st.integers(0, 250))
def test_a_smaller_limit_gives_a_part(size, one, other):
    small, large = sorted((one, other))
    assert subset(size, small) <= subset(size, large) <= subset(size, None)
    assert len(subset(size, small)) == min(size, small)


def test_it_never_changes():
    assert sorted(subset(10, 4)) == [2, 3, 7, 8]
    assert subset(3, None) == {0, 1, 2}


def test_a_negative_limit_is_refused():
    with pytest.raises(ValueError, match="negative"):
        subset(3, -1)
