"""The published scorer's rules, one line a rule. All words are ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner.evaluation import published
from b2ner.evaluation.published import items, normalise, repair

pytestmark = pytest.mark.torchfree


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        pytest.param(" a\t b\n\u3000c\xa0d ", "a b c d", id="any white space is one blank"),
        pytest.param("a\u200bb", "a\u200bb", id="a zero-width space is none"),
        pytest.param("a , b ( c ) d . e _ f ' g - h", "a,b(c)d.e_f'g-h", id="tight marks"),
        pytest.param("a / b ! c", "a / b ! c", id="other marks keep their blanks"),
        pytest.param("ÉTÉ İ STRASSE", "été i̇ strasse", id="lower case, by the book"),
        pytest.param("{a} {{b}}", "a b", id="braces go"),
        pytest.param("a,,, b... c;;", "a,b.c;", id="runs of marks"),
        pytest.param("a, , b", "a,b", id="a run made by tightening"),
        pytest.param("a；；b， c", "a;;b, c", id="full-width marks come too late for both"),
        pytest.param("’a‘ “b”", "'a' \"b\"", id="curly quotes"),
        pytest.param("relocated in an organisation", "relocation in an organization", id="inside"),
        pytest.param("a: @#b#@", "a:b", id="@ and # around the last part"),
        pytest.param("@a: b", "@a:b", id="not around the first part"),
        pytest.param("书: 看《红楼》和《西游》", "书:红楼", id="the first title is all"),
        pytest.param("书: 《》", "书:《》", id="a title mark with nothing inside"),
        pytest.param("书: 《》》", "书:》", id="a title holds at least one character"),
        pytest.param("a: (b)", "a:b", id="brackets at both ends"),
        pytest.param("a: （<b)", "a:b", id="of any kind"),
        pytest.param("a: (b", "a:(b", id="at one end only"),
        pytest.param("a: ()", "a:()", id="brackets alone"),
        pytest.param("a: (>)", "a:>", id="something always stays"),
        pytest.param("《a》", "《a》", id="no colon, no step nine"),
        pytest.param("！ａ。", "！ａ。", id="other full-width characters stay"),
    ],
)
def test_normalise(text, normalised):
    assert normalise(text) == normalised


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(" None", set(), id="none"),
        pytest.param("", set(), id="empty"),
        pytest.param("None: None", {"none:none"}, id="a none that looks like an entity"),
        pytest.param("a: B; a: b;", {"a:b"}, id="repeats and capitals"),
        pytest.param("a:; b", {"a:"}, id="a label alone counts, words alone do not"),
        pytest.param("a：北京；b：上海", {"a:北京", "b:上海"}, id="full-width separators"),
        pytest.param("a ： 北京 ； b ： 上海", {"a:北京", "b:上海"}, id="twice normalised"),
        pytest.param("a: AT&T; Inc", {"a:at&t"}, id="a semicolon cuts an entity"),
        pytest.param("a: x; b: 《甲》; 《乙》", {"a:x", "b:甲"}, id="the whole answer first"),
        pytest.param("a: (x); b: (y); z)", {"a:x", "b:y)"}, id="and its brackets"),
        pytest.param("k - l: x", {"k-l:x"}, id="a hyphen is tight"),
    ],
)
def test_items(answer, expected):
    assert items(answer) == expected


@pytest.mark.parametrize(
    ("answer", "repaired"),
    [
        pytest.param("a: x, y; b: z", "a: x;a: y; b: z", id="one for each value"),
        pytest.param("a: x、y", "a: x;a:y", id="at the Chinese comma too"),
        pytest.param("x, y", "x, y", id="no label, no repair"),
        pytest.param("a: x", "a: x", id="one value"),
        pytest.param("a: x: y, z", "a: x", id="the text after a second colon is lost"),
        pytest.param("a：x，y", "a：x，y", id="full-width marks are not seen"),
        pytest.param("a, b: x", "a, b: x", id="a comma in the label counts as one"),
    ],
)
def test_repair(answer, repaired):
    assert repair(answer) == repaired


def test_which_folders_are_repaired():
    assert published.is_repaired("runs/my-gpt4-run")
    assert published.is_repaired("eval+full/x")
    assert not published.is_repaired("runs/GPT")


@pytest.mark.parametrize(
    ("sample_id", "length", "language", "clipped"),
    [
        ("0", 2048, "en", False),
        ("0", 2049, "en", True),
        ("0", 512, "zh", False),
        ("0", 513, "zh", True),
        ("-1", 1, "en", True),
        (-1, 1, "en", False),
    ],
)
def test_clip(sample_id, length, language, clipped):
    assert published.is_clipped(sample_id, "x" * length, language) is clipped


def test_a_mean_over_nothing_is_zero():
    assert published.mean([]) == 0
    assert published.mean([0.5, 1.0]) == 0.75


@given(st.text())
def test_any_answer_can_be_scored(answer):
    assert all(":" in item for item in items(answer))
    assert items(repair(answer)) is not None
