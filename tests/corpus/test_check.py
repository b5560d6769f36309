"""The corpus's promises: each kind of finding from a fixture that breaks that one promise."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner.corpus.check import ALLOWED, Kind, check, published_texts
from b2ner.corpus.nearness import Pair, SharedRun, near_duplicates, shared_runs
from b2ner.corpus.sheets import SheetText, read_lines, read_sheets, write_line
from b2ner.errors import DataError

pytestmark = pytest.mark.torchfree

ROOT = Path(__file__).parents[2]

LABELS = (
    "person; city; river; song; band; year; dish; drink; tool; animal; plant; colour; month; other"
)
NAMES = [
    "Ada",
    "Bo",
    "Cy",
    "Di",
    "Ed",
    "Flo",
    "Gus",
    "Hal",
    "Ida",
    "Jo",
    "Kit",
    "Lu",
    "Max",
    "Ned",
    "Ora",
    "Pia",
    "Quin",
    "Ray",
    "Sue",
    "Tom",
]
WORDS = [
    "plum",
    "gate",
    "moss",
    "lamp",
    "kite",
    "reed",
    "bolt",
    "fern",
    "glen",
    "hawk",
    "inch",
    "jade",
    "knot",
    "lime",
    "mint",
    "nest",
]


def text(number):
    """A text like no other of its kind: one mention, and words that no two texts share in a row."""
    one, two = WORDS[number % 16], WORDS[(7 * number + number // 16) % 16]
    name = f"{NAMES[number % 20]}{number}"
    return f"{one}{number} {two} {number} for [[{name}|person]] at {two}{one} {number * 37}"


def sheet(*texts, labels=LABELS, size=32):
    return [f"## labels: {labels}\n", *(f"{line}\n" for line in texts), *map(text, range(size))]


def found(*texts, name="en-own.txt", **options):
    report = check(read_lines(sheet(*texts, **options), name))
    return [f for f in report.findings if f.kind is not Kind.RARE]


def kinds(*texts, **options):
    return [finding.kind for finding in found(*texts, **options)]


def test_a_sheet_as_it_should_be():
    assert found() == []


@pytest.mark.parametrize(
    ("line", "kind", "place"),
    [
        pytest.param("[[Ada|person] swam", Kind.UNREADABLE, "en-own.txt:2", id="broken markup"),
        pytest.param("a [[part|other]]y", Kind.BORDER, "en-own.txt:2", id="inside a word"),
        pytest.param("[[x; city: y|song]] z", Kind.UNWRITABLE, "en-own.txt:2", id="answers"),
        pytest.param("[[Po|river]] and Po", Kind.UNMARKED, "en-own.txt:2", id="marked once"),
    ],
)
def test_one_text_is_wrong(line, kind, place):
    (finding,) = found(line)
    assert (finding.kind, finding.place) == (kind, place)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("[[Po|river]] and Polar ice", id="within a longer word"),
        pytest.param("[[Po|river]] and [[Upper Po|river]]", id="within another mention"),
        pytest.param("[[Po|river]] and [[Po|song]]", id="under another label"),
    ],
)
def test_what_is_no_unmarked_repeat(line):
    assert found(line) == []


def test_chinese_repeats_need_no_blank():
    finding = found("[[小米|other]]卖小米粥", name="zh-own.txt")[0]
    assert (finding.kind, finding.detail) == (Kind.UNMARKED, "'小米' stands unmarked as well")


@pytest.mark.parametrize(
    ("labels", "number"),
    [
        pytest.param("person; city", 2, id="too few"),
        pytest.param("; ".join(["person", *(f"l{n}" for n in range(20))]), 21, id="too many"),
    ],
)
def test_the_size_of_a_label_set(labels, number):
    (finding,) = found(labels=labels)
    assert (finding.kind, finding.place) == (Kind.LABEL_SET, "en-own:1")
    assert f"{number} labels" in finding.detail


def test_blocks_that_are_no_blocks():
    assert kinds(size=29) == [Kind.SMALL]
    report = check(read_lines(sheet(), "en-own.txt"))
    (rare,) = report.findings
    assert (rare.kind, rare.place) == (Kind.RARE, "en-own:1")
    assert "13 labels have less than 6 mentions: city, river" in rare.detail
    assert report.over_limit == (Kind.RARE,)
    assert report.broken == ()


def test_openings_and_names():
    openings = [f"The Old {WORDS[n]} {n * n} {WORDS[-n]}" for n in range(5)]
    (finding,) = found(*openings)
    assert (finding.kind, finding.place) == (Kind.OPENING, "en-own.txt")
    assert finding.detail == "'the old' opens 5 texts"
    assert found(*openings[:4]) == []
    names = [f"{WORDS[n]} {n} and [[Benedict|person]] {WORDS[n + 3]}{n}" for n in range(7)]
    (finding,) = found(*names)
    assert (finding.kind, finding.detail) == (Kind.NAME, "'Benedict' is marked 7 times")
    assert found(*names[:6]) == []


def test_duplicates():
    line = "a text of some length, so that it has pieces enough to be known by"
    (finding,) = found(line, line)
    assert (finding.kind, finding.place) == (Kind.DUPLICATE, "en-own.txt:3")
    assert finding.detail == "stands in en-own.txt:2 already"
    (finding,) = found(line, f"{line.title()} indeed")
    assert finding.kind is Kind.NEAR


def test_counts():
    lines = [*sheet(), "## labels: fish; bird\n", "no mention\n", "[[a|fish]] [[b|fish]]\n"]
    report = check(read_lines(lines, "en-own.txt"))
    english = report.languages["en"]
    assert (english.texts, english.mentions, english.blocks) == (34, 34, 2)
    assert english.without_mentions == 1
    assert english.labels["person"] == 32
    assert list(english.labels.items())[1] == ("fish", 2)
    assert english.labels["bird"] == english.labels["city"] == 0
    assert 0.9 < english.distinct_bigrams <= english.distinct_trigrams <= 1
    assert (report.label_distance, report.label_distance_least) == (1.0, 1.0)
    assert (report.compared_with, report.texts) == (None, 34)
    shown = report.to_json()
    assert shown["languages"]["en"]["labels"]["fish"] == 2
    assert json.loads(json.dumps(shown)) == shown


def test_an_empty_corpus():
    report = check([])
    assert (report.texts, report.findings, report.label_distance) == (0, (), None)


def test_label_distance_is_to_the_nearest_other_set():
    sets = ["a; b; c; d", "a; b; c; e", "x; y"]
    lines = [line for labels in sets for line in (f"## labels: {labels}\n", "a text\n")]
    report = check(read_lines(lines, "en-own.txt"))
    assert report.label_distance_least == pytest.approx(0.4)
    assert report.label_distance == pytest.approx((0.4 + 0.4 + 1) / 3)


def test_warnings_up_to_their_limit_are_allowed():
    lines = sheet("[[Po|river]] and Po", size=60)
    report = check(read_lines(lines, "en-own.txt"))
    assert Kind.UNMARKED not in report.over_limit
    report = check(read_lines(sheet("[[Po|river]], Po", "[[Don|river]], Don"), "en-own.txt"))
    assert Kind.UNMARKED in report.over_limit
    assert ALLOWED[Kind.UNMARKED] > 0


EIGHT = "so it was that the old mill burned down"


@pytest.mark.parametrize(
    ("own", "other", "run"),
    [
        pytest.param(EIGHT, f"We heard {EIGHT}, alas.", EIGHT, id="the longest run"),
        pytest.param(EIGHT, EIGHT.upper().replace(" ", " - "), EIGHT, id="words only"),
        pytest.param(EIGHT, EIGHT.replace("old", "new"), None, id="a word between"),
        pytest.param("six words of it, no more", "six words of it, no more", None, id="too short"),
        pytest.param(
            "小王昨天在都灵的河边看书",
            "说小王昨天，在都灵的河边看书",
            "小王昨天在都灵的河边看书",
            id="Chinese",
        ),
        pytest.param("小王昨天在都灵的河边看", "小王昨天在都灵的河边看", None, id="11 characters"),
    ],
)
def test_shared_runs(own, other, run):
    shared = list(shared_runs([("own:1", own)], [("test:0", other)]))
    assert shared == ([SharedRun("own:1", "test:0", run)] if run else [])


def test_every_own_text_that_shares_a_run_is_named():
    own = [("own:1", EIGHT), ("own:2", f"Indeed {EIGHT}"), ("own:3", "nothing of the kind")]
    shared = list(shared_runs(own, [("test:0", EIGHT), ("test:1", EIGHT)]))
    assert [(s.own, s.other) for s in shared] == [
        ("own:1", "test:0"),
        ("own:2", "test:0"),
        ("own:1", "test:1"),
        ("own:2", "test:1"),
    ]


@given(st.lists(st.text("ab ", max_size=60), max_size=6), st.lists(st.text("ab "), max_size=6))
def test_shared_runs_are_those_of_the_nested_loop(own, others):
    def runs(line):
        tokens = line.split()
        return {tuple(tokens[at : at + 7]) for at in range(len(tokens) - 6)}

    named = [(str(n), line) for n, line in enumerate(own)]
    met = {
        (s.own, s.other) for s in shared_runs(named, [(str(n), t) for n, t in enumerate(others)])
    }
    assert met == {
        (str(n), str(m))
        for n, line in enumerate(own)
        for m, other in enumerate(others)
        if runs(line) & runs(other)
    }


@pytest.mark.parametrize(
    ("first", "second", "near"),
    [
        pytest.param("the same words here", "The same words, here!", True, id="case, punctuation"),
        pytest.param("the cat sat on the mat today", "the cat sat on the mat", True, id="a tail"),
        pytest.param("the cat sat on the mat", "a dog lay under the table", False, id="another"),
        pytest.param("ab", "ab", True, id="very short"),
        pytest.param("", "", True, id="nothing at all"),
    ],
)
def test_near_duplicates(first, second, near):
    pairs = list(near_duplicates([("1", first), ("2", second)]))
    assert [(pair.first, pair.second) for pair in pairs] == ([("1", "2")] if near else [])


def test_exact_duplicates_are_all_found():
    texts = [(str(number), f"text number {number % 40} of forty") for number in range(120)]
    pairs = [p for p in near_duplicates(texts) if p.share == 1]
    assert len(pairs) == 40 * 3  # three of each make three pairs
    assert Pair("0", "40", 1.0) in pairs


@pytest.fixture
def published(tmp_path):
    folder = tmp_path / "eval" / "NER_en" / "own"
    folder.mkdir(parents=True)
    (folder / "labels.json").write_text('["city"]', encoding="utf-8")
    (folder / "test.json").write_text(
        json.dumps([{"sentence": "one", "entities": []}, {"sentence": EIGHT, "entities": []}]),
        encoding="utf-8",
    )
    (folder / "train.json").write_text('[{"sentence": "two"}]', encoding="utf-8")
    return tmp_path / "eval"


def test_a_folder_to_compare_with(published):
    assert list(published_texts(published)) == [
        ("NER_en/own/train.json:0", "two"),
        ("NER_en/own/test.json:0", "one"),
        ("NER_en/own/test.json:1", EIGHT),
    ]
    report = check(read_lines(sheet(EIGHT), "en-own.txt"), others=published_texts(published))
    assert report.compared_with == 3
    (broken,) = report.broken
    assert (broken.kind, broken.place) == (Kind.SHARED, "en-own.txt:2")
    assert broken.detail == f"{EIGHT!r} stands in NER_en/own/test.json:1"


def test_a_folder_that_cannot_be_compared_with(tmp_path, published):
    with pytest.raises(DataError, match="holds no data set"):
        list(published_texts(tmp_path / "none"))
    (published / "NER_en" / "own" / "test.json").write_text('[{"text": "a"}]', encoding="utf-8")
    with pytest.raises(DataError, match="element 0 has no sentence"):
        list(published_texts(published))


def test_our_corpus_keeps_its_promises():
    report = check(read_sheets(ROOT / "corpus" / "sheets"))
    assert report.broken == ()
    assert report.over_limit == ()


def test_our_corpus_is_written_back_as_it_stands():
    lines = {
        f"{path.name}:{number}": line
        for path in (ROOT / "corpus" / "sheets").iterdir()
        for number, line in enumerate(path.read_text("utf-8").split("\n"), start=1)
    }
    for row in read_sheets(ROOT / "corpus" / "sheets"):
        assert isinstance(row, SheetText)
        assert write_line(row.sample) == lines[row.place]


def test_the_figures_of_our_datasheet_are_counted():
    command = [sys.executable, "scripts/corpus_card.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
