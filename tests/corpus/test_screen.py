"""What a text shares with other sets: the whole, or a run of its words. All words are ours."""

import pytest

from b2ner.corpus.screen import Seen

pytestmark = pytest.mark.torchfree

LONG = "the old ferry left the harbour at seven and came back empty that night"
CHINESE = "小王昨天在王村的老茶馆里等了三个小时也没有等到人"


@pytest.fixture
def seen():
    held = Seen()
    held.add(LONG, "test")
    held.add("Where to ?", "dev")
    held.add(CHINESE, "zh")
    held.add("...", "dots")
    return held


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(LONG, id="the same"),
        pytest.param(LONG.upper().replace(" ", ", "), id="case and punctuation do not count"),
        pytest.param("where to", id="short ones only as a whole"),
        pytest.param(f"We know that {' '.join(LONG.split()[2:12])}.", id="ten words in a row"),
        pytest.param(f"他说{CHINESE[3:19]}了", id="sixteen characters in a row"),
        pytest.param(f"他说{CHINESE[3:9]}，{CHINESE[9:19]}", id="with a comma between"),
    ],
)
def test_what_is_shared_is_found(seen, text):
    assert seen.shared_with(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(" ".join(LONG.split()[2:11]), id="nine words"),
        pytest.param(f"他说{CHINESE[3:18]}了", id="fifteen characters"),
        pytest.param("where to now", id="a short text within another"),
        pytest.param("!", id="no words at all"),
        pytest.param("", id="nothing"),
    ],
)
def test_less_is_not(seen, text):
    assert seen.shared_with(text) is None


def test_what_is_told(seen):
    assert seen.shared_with("WHERE TO") == "the same text stands in dev"
    run = " ".join(LONG.split()[:10])
    assert seen.shared_with(f"{run} again") == f"shares {run!r} with test"


def test_nothing_is_shared_with_nothing():
    assert Seen().shared_with(LONG) is None
