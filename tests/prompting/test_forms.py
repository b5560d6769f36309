"""The two forms of an answer: what is written is read back, and what a model says is read well."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner import segments
from b2ner.errors import InputError, LabelError
from b2ner.prompting.forms import LABEL_FIRST, MENTION_FIRST, AnswerForm, answer_form, writable
from b2ner.prompting.template import load_template
from b2ner.records import FaultKind, Mention

LABELS = ("person", "city", "city state", "b: c", "c")
WORDS = st.text(alphabet="ab;: .甲\n", min_size=1, max_size=8)


def mentions_of(labels: tuple[str, ...]) -> st.SearchStrategy[list[Mention]]:
    return st.lists(st.builds(Mention, st.sampled_from(labels), WORDS), max_size=4)


@pytest.mark.parametrize("form", [LABEL_FIRST, MENTION_FIRST], ids=lambda form: form.name)
@given(mentions=mentions_of((*LABELS, "a", "a b")))
def test_what_can_be_written_is_read_back(form: AnswerForm, mentions: list[Mention]) -> None:
    labels = (*LABELS, "a", "a b")
    if not writable(form, mentions, labels):
        return
    written = form.write(mentions)
    read = form.read(written, labels)
    assert list(read.mentions) == mentions
    assert not read.faults
    for item in read.items:
        assert item.mention.text in written[item.start : item.end]
        assert item.mention.label in written[item.start : item.end]


@given(answer=st.text(alphabet="ab;: cityperson;:甲\n", max_size=40))
def test_any_answer_can_be_read(answer: str) -> None:
    read = MENTION_FIRST.read(answer, LABELS)
    for item in read.items:
        assert 0 <= item.start < item.end <= len(answer)
        assert item.mention.label in LABELS
    grounded = MENTION_FIRST.read(answer, LABELS, segments.chunks("a b city"))
    assert all(mention.text in "a b city" for mention in grounded.mentions)


TEXT = "Ada met Bob in New York; London waited"


@pytest.mark.parametrize(
    ("answer", "found", "faults"),
    [
        (" Ada: person; New York: city", [("person", "Ada"), ("city", "New York")], []),
        (" None", [], []),
        ("none.", [], []),
        (" Ada: person;", [("person", "Ada")], []),
        (" Ada: person; None", [("person", "Ada")], [FaultKind.MALFORMED]),
        (
            " Ada: Person; Bob : city",
            [("person", "Ada"), ("city", "Bob")],
            [FaultKind.UNKNOWN_LABEL],
        ),
        (" Eve: person; Bob: city", [("city", "Bob")], [FaultKind.NOT_IN_TEXT]),
        (" Ada: artist; Bob: person", [("person", "Bob")], [FaultKind.UNKNOWN_LABEL]),
        (" Ada; Bob: person", [("person", "Bob")], [FaultKind.MALFORMED]),
        (" Ada: person; Bob", [("person", "Ada")], [FaultKind.MALFORMED]),
        (" New York; London: city state", [("city state", "New York; London")], []),
        ("", [], [FaultKind.EMPTY_ANSWER]),
    ],
)
def test_reading_mention_first(
    answer: str, found: list[tuple[str, str]], faults: list[FaultKind]
) -> None:
    read = MENTION_FIRST.read(answer, LABELS, segments.chunks(TEXT))
    assert [(m.label, m.text) for m in read.mentions] == found
    assert [fault.kind for fault in read.faults] == faults
    for fault in read.faults:
        assert fault.place.startswith("answer:")


def test_two_items_that_are_one_mention_as_well_are_ambiguous() -> None:
    text = "see x: c; y here"
    read = MENTION_FIRST.read(" x: c; y: person", LABELS, segments.chunks(text))
    assert [m.text for m in read.mentions] == ["x", "y"]
    assert [fault.kind for fault in read.faults] == [FaultKind.AMBIGUOUS]


@pytest.mark.parametrize(
    ("words", "label", "fine"),
    [
        ("x: b", "c", False),  # would be x under "b: c"
        ("x: b", "city", True),
        ("x: city; y", "person", False),
        ("x: town; y", "person", True),
        (" x", "person", False),
    ],
)
def test_what_would_be_misread_mention_first(words: str, label: str, fine: bool) -> None:
    assert writable(MENTION_FIRST, [Mention(label, words)], LABELS) is fine


def test_a_label_that_divides_entities_is_refused() -> None:
    with pytest.raises(LabelError, match="'a; b'"):
        MENTION_FIRST.check(["person", "a; b"])
    LABEL_FIRST.check(["person", "a; b"])
    assert not writable(MENTION_FIRST, [], ["a; b"])


def test_forms_are_known_by_the_names_that_templates_use() -> None:
    assert answer_form("mention first") is MENTION_FIRST
    assert load_template("published").form is LABEL_FIRST
    with pytest.raises(InputError, match="no answer form 'words'"):
        answer_form("words")


def test_the_mention_first_template_never_changes() -> None:
    """Adapters are trained on these words: a change needs a new template with an id of its own."""
    template = load_template("mention-first")
    assert template.form is MENTION_FIRST
    assert template.sha256 == "4d6a6c85e33e8b921be01b168d96e9371f7d81a408c3a76adcfdd3e785a7768c"
    prompt = template.render(["person", "city"], "Ada left.", language="en")
    assert prompt.head == "Find all entities of these types.\nLabels: person; city\n\nText:"
    assert prompt.body == " Ada left.\nEntities:"
