import gc
import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner import segments
from b2ner.prompting import answer
from b2ner.prompting.forms import LABEL_FIRST, writable
from b2ner.records import Entity, Mention, Prediction, Span

pytestmark = pytest.mark.torchfree

LABELS = ("person", "date or period", "地名")
# Labels that hold the format's own marks, and labels that begin or end like others.
HARD = ("a", "a: b", "a: b; c", "b", "c; b", "x; a: b", "->", '"', ";", ": :", "None", "地名->城市")


def pairs(read):
    return [(m.label, m.text) for m in read.mentions]


def faults(read):
    return [(f.kind.value, f.place) for f in read.faults]


def place(fault):
    start, end = fault.place.removeprefix("answer:").split("-")
    return range(int(start), int(end))


# -- writing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mentions", "expected"),
    [
        pytest.param([], " None", id="no mention"),
        pytest.param([("person", "Ada")], " person: Ada", id="one"),
        pytest.param([("a", "x; y"), ("a", "x; y")], " a: x; y; a: x; y", id="repeats are kept"),
    ],
)
def test_write(mentions, expected):
    assert answer.write([Mention(*m) for m in mentions]) == expected


def test_order_is_by_start_then_the_longer_then_the_label_set():
    def entity(start, end, label):
        return Entity(Span(start, end), label, "x" * (end - start))

    ordered = [
        entity(0, 8, "b"),
        entity(0, 8, "a"),
        entity(0, 8, "not asked for"),
        entity(0, 3, "a"),
        entity(5, 6, "a"),
    ]
    for shuffled in itertools.permutations(ordered):
        assert answer.order(shuffled, ["b", "a"]) == ordered


def test_order_keeps_the_kind_of_entity():
    found = [Prediction(Span(3, 4), "a", "d", 0.5), Prediction(Span(1, 2), "a", "b", 0.5)]
    assert answer.order(found, ["a"]) == found[::-1]


# -- reading what keeps the form -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "text", "items"),
    [
        pytest.param(LABELS, " None", [], id="none"),
        pytest.param(["None"], " None: x", [("None", "x")], id="a label called None"),
        pytest.param(["a"], " a: None", [("a", "None")], id="a mention called None"),
        pytest.param(["a", "b"], " a: x; b: y", [("a", "x"), ("b", "y")], id="two items"),
        pytest.param(
            ["a", "b"], " a: x; y; b: z", [("a", "x; y"), ("b", "z")], id="mention with ;"
        ),
        pytest.param(["a"], " a: x: y: z", [("a", "x: y: z")], id="mention with :"),
        pytest.param(["a"], " a: x; c: y", [("a", "x; c: y")], id="an unknown label is words"),
        pytest.param(["a", "b"], " a: x;b: y", [("a", "x;b: y")], id="no border without a blank"),
        pytest.param(["a", "b"], " a: ;; b: ;", [("a", ";"), ("b", ";")], id="mentions of marks"),
        pytest.param(["a"], " a: x;", [("a", "x;")], id="mention that ends with ;"),
        pytest.param(["a"], " a: x\ny", [("a", "x\ny")], id="mention over a line end"),
        pytest.param(["a", "a: b"], " a: b: c", [("a: b", "c")], id="the longest label wins"),
        pytest.param(["a", "a: b"], " a: b:c", [("a", "b:c")], id="unless it lacks its blank"),
        pytest.param(["a", "a: b"], " a: x; a: b: c", [("a", "x"), ("a: b", "c")], id="and later"),
        pytest.param(["a; b", "b"], " a; b: c", [("a; b", "c")], id="a border within a label"),
        pytest.param(
            ["名->a", "名"], " 名->a: 甲; 名: 乙", [("名->a", "甲"), ("名", "乙")], id="arrow"
        ),
    ],
)
def test_read_what_keeps_the_form(labels, text, items):
    read = answer.read(text, labels)
    assert pairs(read) == items
    assert read.faults == ()


def test_items_say_where_they_stand():
    text = " person: Ada; 地名: 北京"
    read = answer.read(text, LABELS)
    assert [(i.start, i.end, text[i.start : i.end]) for i in read.items] == [
        (1, 12, "person: Ada"),
        (14, 20, "地名: 北京"),
    ]


# -- reading what does not -----------------------------------------------------------------------

TEXT = "Ada; the Countess: of Lovelace met Bob in London; UK.\n\nIn 1843 Ada left."


@pytest.mark.parametrize(
    ("text", "items", "expected"),
    [
        pytest.param("person: Ada", [("person", "Ada")], [], id="no blank before"),
        pytest.param("  person:  Ada  ", [("person", "Ada")], [], id="blanks too many"),
        pytest.param("person:Ada", [("person", "Ada")], [], id="no blank after the colon"),
        pytest.param(
            "person：Ada；地名：London",
            [("person", "Ada"), ("地名", "London")],
            [],
            id="full width",
        ),
        pytest.param(
            "person: Ada;地名: London;",
            [("person", "Ada"), ("地名", "London")],
            [],
            id="tight, ; at end",
        ),
        pytest.param(
            "person: Ada\n地名: London\n",
            [("person", "Ada"), ("地名", "London")],
            [],
            id="one a line",
        ),
        pytest.param("; ;person: Ada; ; ;", [("person", "Ada")], [], id="marks around"),
        pytest.param(" person: Ada; ", [("person", "Ada")], [], id="a border with nothing behind"),
        pytest.param("none.", [], [], id="none in another form"),
        pytest.param("", [], [("empty-answer", "answer:0-0")], id="nothing"),
        pytest.param(" ; \n", [], [("empty-answer", "answer:0-4")], id="marks and blanks only"),
        pytest.param(
            "Person: Ada", [("person", "Ada")], [("unknown-label", "answer:0-6")], id="capitals"
        ),
        pytest.param(
            "Bob; person: Ada",
            [("person", "Ada")],
            [("malformed", "answer:0-3")],
            id="no label first",
        ),
        pytest.param(
            "Sure:\nperson: Ada",
            [("person", "Ada")],
            [("unknown-label", "answer:0-5")],
            id="small talk before",
        ),
        pytest.param(
            " person: ; 地名: London",
            [("地名", "London")],
            [("malformed", "answer:1-9")],
            id="label without a mention",
        ),
        pytest.param(" person:", [], [("malformed", "answer:1-8")], id="a label and no more"),
        pytest.param(
            "None; person: Ada",
            [("person", "Ada")],
            [("malformed", "answer:0-4")],
            id="none and a mention",
        ),
        pytest.param(
            " None\n\nText: Bob", [], [("malformed", "answer:7-16")], id="more after none"
        ),
    ],
)
@pytest.mark.parametrize("chunks", [None, segments.chunks(TEXT)], ids=["free", "with the text"])
def test_read_leniently(chunks, text, items, expected):
    read = answer.read(text, LABELS, chunks)
    assert pairs(read) == items
    assert faults(read) == expected


@pytest.mark.parametrize(
    ("text", "items", "expected"),
    [
        pytest.param(
            " person: Ada; the Countess: of Lovelace",
            [("person", "Ada; the Countess: of Lovelace")],
            [],
            id="words that look like an item, and stand in the text",
        ),
        pytest.param(
            " person: Ada; 地名: Londres",
            [("person", "Ada")],
            [("not-in-text", "answer:14-25")],
            id="words that do not stand there",
        ),
        pytest.param(
            " person: Bo", [], [("not-in-text", "answer:1-11")], id="words inside a longer word"
        ),
        pytest.param(
            " person: Ada; country: UK",
            [("person", "Ada")],
            [("unknown-label", "answer:14-25")],
            id="a label that nobody asked for",
        ),
        pytest.param(
            " 地名: London; UK; Wales; person: Bob",
            [("地名", "London; UK"), ("person", "Bob")],
            [("malformed", "answer:17-22")],
            id="as far as the text follows",
        ),
        pytest.param(
            " person: Ada;地名: London",
            [("person", "Ada"), ("地名", "London")],
            [],
            id="tight border",
        ),
        pytest.param(
            " 地名: UK.\n\nIn 1843", [("地名", "UK.\n\nIn 1843")], [], id="the text's own line ends"
        ),
        pytest.param(
            " person: Ada \n\nText: Bob left. \nAnswer: person: Bob; person: Bob",
            [("person", "Ada")],
            [("malformed", "answer:15-64")],
            id="a model that goes on with an example of its own",
        ),
        pytest.param(
            " person: Ada\n\nperson: Bob",
            [("person", "Ada"), ("person", "Bob")],
            [],
            id="airy list",
        ),
        pytest.param(
            "person: Ada\nNote: nobody else.\nperson: Bob",
            [("person", "Ada"), ("person", "Bob")],
            [("unknown-label", "answer:12-30")],
            id="a line between",
        ),
        pytest.param(
            " person:; 地名: London",
            [("地名", "London")],
            [("malformed", "answer:1-8")],
            id="no mention, tight",
        ),
        pytest.param(
            "person:;地名:London",
            [("地名", "London")],
            [("malformed", "answer:0-7")],
            id="no mention, tighter",
        ),
    ],
)
def test_the_text_decides(text, items, expected):
    read = answer.read(text, LABELS, segments.chunks(TEXT))
    assert pairs(read) == items
    assert faults(read) == expected


def test_two_items_that_also_stand_as_one_mention_are_ambiguous():
    chunks = segments.chunks("see a; b: c and d")
    read = answer.read(" b: a; b: c; b: d", ["b"], chunks)
    assert pairs(read) == [("b", "a"), ("b", "c"), ("b", "d")]
    assert faults(read) == [("ambiguous", "answer:1-11")]
    assert "'a; b: c'" in read.faults[0].message


def test_other_capitals_are_another_label_when_both_are_asked_for():
    assert pairs(answer.read("PERSON:x; Person:x; person:x", ["person", "Person"])) == [
        ("person", "x"),
        ("Person", "x"),
        ("person", "x"),
    ]


# -- what the form cannot hold -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "text", "labels", "expected"),
    [
        pytest.param("a", "x; y: z", ["a", "b"], False, id="; and : are fine"),
        pytest.param("a", "x; b: z", ["a", "b"], True, id="not a border"),
        pytest.param("a", "x; b:z", ["a", "b"], False, id="a border has two blanks"),
        pytest.param("a", "; b: z", ["a", "b"], True, id="not at the start either"),
        pytest.param("a", "b: x", ["a", "a: b"], True, id="reads as the longer label"),
        pytest.param("a", "b:", ["a", "a: b"], False, id="does not: no blank can follow"),
        pytest.param("a: b", "x", ["a", "a: b"], False, id="the longer label itself"),
        pytest.param("a", "z; x", ["a", "x; b"], True, id="could meet `b: ` in the next item"),
        pytest.param("a", "z x", ["a", "x; b"], False, id="could not: no border before x"),
        pytest.param("a", "b", ["a", "a: b; c"], True, id="could become the longer label"),
        pytest.param("a", "bb", ["a", "a: b; c"], False, id="could not"),
    ],
)
def test_barred(label, text, labels, expected):
    assert answer.barred(label, tuple(labels)).bars(text) == expected


@pytest.mark.parametrize(
    ("mentions", "expected"),
    [
        pytest.param([], True, id="nothing"),
        pytest.param([("a", "x"), ("b", "x; y")], True, id="as it should be"),
        pytest.param([("c", "x")], False, id="a label that is not asked for"),
        pytest.param([("a", "")], False, id="no words"),
        pytest.param([("a", " x")], False, id="a blank at the edge"),
        pytest.param([("a", "x"), ("a", "x; b: y")], False, id="a border inside"),
    ],
)
def test_writable(mentions, expected):
    assert writable(LABEL_FIRST, [Mention(*m) for m in mentions], ["a", "b"]) == expected


# -- laws ----------------------------------------------------------------------------------------

hard_labels = st.lists(st.sampled_from(HARD), min_size=1, max_size=5, unique=True).map(tuple)
hard_pieces = st.sampled_from(
    [
        "a",
        "b",
        "c",
        "x",
        "地",
        "Ä",
        ";",
        ":",
        " ",
        "; ",
        ": ",
        "；",
        "：",
        "\n",
        "\n\n",
        "None",
        "->",
    ]
    + list(HARD)
    + [label.upper() for label in HARD]
)
hard_texts = st.lists(hard_pieces, max_size=12).map("".join)


@st.composite
def grammatical(draw):
    """A label set, chunks of a text, and mentions that the grammar lets an answer hold."""
    labels = draw(hard_labels)
    chunks = segments.chunks(draw(hard_texts))
    spans = {
        "".join(chunks[i:j]) for i in range(len(chunks)) for j in range(i + 1, len(chunks) + 1)
    }
    mentions = [
        Mention(label, span)
        for label in labels
        for span in sorted(spans)
        if segments.occurrences(chunks, span) and not answer.barred(label, tuple(labels)).bars(span)
    ]
    if not mentions:
        return labels, chunks, []
    return labels, chunks, draw(st.lists(st.sampled_from(mentions), max_size=4))


@given(grammatical())
def test_what_we_write_we_read_back(case):
    labels, chunks, mentions = case
    assert writable(LABEL_FIRST, mentions, labels)
    written = answer.write(mentions)
    free, grounded = answer.read(written, labels), answer.read(written, labels, chunks)
    assert free.mentions == grounded.mentions == tuple(mentions)
    assert free.faults == ()
    assert {fault.kind.value for fault in grounded.faults} <= {"ambiguous"}


@given(st.lists(st.tuples(st.sampled_from(HARD), st.text()), max_size=4), hard_labels)
def test_writable_mentions_come_back_whatever_they_hold(found, labels):
    mentions = [Mention(label, text) for label, text in found]
    if writable(LABEL_FIRST, mentions, labels):
        read = answer.read(answer.write(mentions), labels)
        assert read.mentions == tuple(mentions)
        assert read.faults == ()


@pytest.mark.parametrize(
    "labels",
    [("a",), ("a", "b"), ("a", "a: b"), ("a", "a: b; b"), ("b; a", "b"), ("a; b", "b", "a: a")],
    ids=" | ".join,
)
def test_every_short_answer_is_read_back(labels):
    """All answers of at most two items over all texts of five chunks."""
    for chunks in itertools.product(("a", "b", "; ", ": "), repeat=5):
        text = "".join(chunks)
        cut = segments.chunks(text)
        spans = sorted(
            {text[i:j] for i in range(len(text)) for j in range(i + 1, len(text) + 1)}
            & {"a", "b", ";", "a;", "b: a", "a; b", "b; a", "a: b", "; a", "; b: a", text.strip()}
        )
        items = [
            Mention(label, span)
            for label in labels
            for span in spans
            if segments.occurrences(cut, span)
            and not answer.barred(label, tuple(labels)).bars(span)
        ]
        for mentions in ((item,) for item in items):
            assert answer.read(answer.write(mentions), labels, cut).mentions == mentions
        for mentions in itertools.product(items, repeat=2):
            assert answer.read(answer.write(mentions), labels).mentions == mentions


@given(st.sampled_from(HARD), hard_texts, hard_labels)
def test_what_is_barred_is_misread(label, text, labels):
    if label not in labels or not text or text != text.strip():
        return
    barred = answer.barred(label, labels)
    one = Mention(label, text)
    if text.startswith(barred.begins) or any(border in text for border in barred.holds):
        assert answer.read(answer.write([one]), labels).mentions != (one,)


@given(st.text() | hard_texts, hard_labels, st.none() | hard_texts.map(segments.chunks))
def test_any_completion_can_be_read(completion, labels, chunks):
    """Nothing raises, nothing is made up, nothing is dropped in silence."""
    read = answer.read(completion, labels, chunks)
    covered = [False] * len(completion)
    last = 0
    for item in read.items:
        assert last <= item.start < item.end <= len(completion)
        last = item.end
        label, text = item.mention.label, item.mention.text
        assert label in labels
        written = completion[item.start : item.end]
        assert written.lower().startswith(label.lower())
        assert text == text.strip() != ""
        assert written.endswith(text)
        assert len(label) + len(text) < len(written)
        if chunks is not None:
            assert segments.occurrences(chunks, text)
        covered[item.start : item.end] = [True] * (item.end - item.start)
    for fault in read.faults:
        assert fault.kind.value == "empty-answer" or len(place(fault))
        for character in place(fault):
            covered[character] = True
    left = "".join(c for c, done in zip(completion, covered, strict=True) if not done)
    left = "".join(c for c in left if not c.isspace() and c not in ";；")
    assert left == "" or (not read.items and left.strip(".。").casefold() == "none")
    assert read == answer.read(completion, labels, chunks)


REPEATED = {
    "exact items": (" a: b" + "{}", "; a: b", "b"),
    "tight items": (" a: b" + "{}", ";a:b", "b"),
    "words that follow the text": (" a: " + "{}", "b; ", "b; " * 20_000),
    "words that stray": (" a: b; {}", "c; ", "b; " * 20_000),
    "marks": ("a: {}", ";", "b"),
    "blanks": ("a: b {}", " ", "b"),
    "line ends": ("a: b{}", "\n", "b"),
    "labels without mentions": ("{}", "a: ", "b"),
    "no labels": ("{}", "x\n", "b"),
    "colons": ("a{}", ": ", "b"),
    "one long word": (" {}", "a: bb; ", "b" * 20_000),
}


@pytest.mark.parametrize("chunked", [False, True], ids=["free", "with the text"])
@pytest.mark.parametrize("pattern", REPEATED)
def test_reading_grows_with_the_answer(pattern, chunked):
    frame, piece, text = REPEATED[pattern]
    chunks = segments.chunks(text) if chunked else None

    def seconds(characters):
        written = frame.format(piece * (characters // len(piece)))
        took = []
        gc.disable()
        for _ in range(3):
            begin = time.process_time()
            answer.read(written, ["a", "a: b; c"], chunks)
            took.append(time.process_time() - begin)
        gc.enable()
        return min(took)

    assert seconds(100_000) < 15 * max(seconds(10_000), 0.005)  # below that, noise
