"""Marks inside texts: tags in lines, elements of XML, and what is refused. All words are ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner.corpus.inline import (
    InlineTags,
    XmlElements,
    read_inline_tags,
    read_xml,
    without_tags,
)
from b2ner.corpus.readers import Annotation
from b2ner.errors import DataError
from b2ner.records import Reason, Rejected, Sample, Span

pytestmark = pytest.mark.torchfree

OWN = Annotation(("city", "person"), "en", "own")


def shown(sample):
    assert isinstance(sample, Sample), sample
    assert all(sample.text[e.start : e.end] == e.text for e in sample.entities)
    return sample.text, [(e.label, e.text) for e in sample.entities]


@pytest.mark.parametrize(
    ("marked", "text", "found"),
    [
        pytest.param("to <city>Turin</city>!", "to Turin!", [(3, 8, "city")], id="one"),
        pytest.param("<a><b>x</b>y</a>", "xy", [(0, 1, "b"), (0, 2, "a")], id="nested"),
        pytest.param("1 < 2 > 0", "1 < 2 > 0", [], id="other brackets are text"),
        pytest.param("<city>Tu||Turin</city> now", "Tu now", [(0, 2, "city")], id="corrected"),
    ],
)
def test_without_tags(marked, text, found):
    assert without_tags(marked, "||") == (text, [(Span(a, b), label) for a, b, label in found])


@pytest.mark.parametrize(
    "marked", ["<city>Turin", "Turin</city>", "<a>x<b>y</a></b>", "<city></city>"]
)
def test_tags_that_do_not_match(marked):
    with pytest.raises(ValueError, match=r"closed|closes|span"):
        without_tags(marked)


@given(st.lists(st.tuples(st.text("ab c", min_size=1), st.booleans())))
def test_what_is_marked_is_found(parts):
    marked = "".join(f"<x>{words}</x>" if mark else words for words, mark in parts)
    text, found = without_tags(marked)
    assert text == "".join(words for words, _ in parts)
    assert [span.of(text) for span, _ in found] == [words for words, mark in parts if mark]


def test_lines_with_columns():
    layout = InlineTags(columns=3, marked=2, plain=1)
    lines = [
        "1\tto Turin\tto <city>Turin</city>\n",
        "\n",
        "2\tto Po\tto <city>Turin</city>\n",
        "3\tto Turin\n",
        "4\tto\tto <city>\n",
        "5\t\udcff\t\udcff\n",
        "6\tto Po\tto <river>Po</river>\n",
        "7\t\t \n",
    ]
    good, *bad = read_inline_tags(lines, layout, OWN)
    assert shown(good) == ("to Turin", [("city", "Turin")])
    assert [(row.place, row.reason) for row in bad] == [
        ("own:3", Reason.SPAN_MISMATCH),
        ("own:4", Reason.MALFORMED),
        ("own:5", Reason.MALFORMED),
        ("own:6", Reason.MALFORMED),
        ("own:7", Reason.UNKNOWN_LABEL),
        ("own:8", Reason.MALFORMED),
    ]


HEAD = '<?xml version="1.0" encoding="ISO-8859-1"?>\n'


def xml(body, *, head=HEAD, encoding="iso-8859-1"):
    data = f"{head}<all>{body}</all>".encode(encoding)
    lines = data.decode("utf-8", "surrogateescape").splitlines(keepends=True)
    return list(read_xml(lines, XmlElements(label="KIND"), OWN))


def test_elements_in_another_encoding():
    (sample,) = xml('<p>\n  A São\n  <EM KIND="city">Évora &amp; Beja</EM>\n  , "\n x".</p>')
    assert shown(sample) == ('A São Évora & Beja, " x".', [("city", "Évora & Beja")])
    assert sample.source == "own:2"


@pytest.mark.parametrize(
    ("body", "text", "words"),
    [
        pytest.param('<EM KIND="city|person">Ada</EM>', "Ada", ["Ada"], id="the first of labels"),
        pytest.param(
            '<ALT><EM KIND="city">New Turin</EM> | <EM KIND="city">New</EM> Turin</ALT> now',
            "New Turin now",
            ["New Turin"],
            id="the first of readings",
        ),
        pytest.param(
            '<EM KIND="city">New <EM KIND="city">Turin</EM></EM>',
            "New Turin",
            ["New Turin", "Turin"],
            id="nested",
        ),
        pytest.param(
            'a | b <EM KIND="city"> Turin </EM>.', "a | b Turin.", ["Turin"], id="white space"
        ),
        pytest.param('<EM KIND="city"> </EM>x', "x", [], id="an entity of nothing"),
    ],
)
def test_what_elements_say(body, text, words):
    (sample,) = xml(f"<p>{body}</p>")
    assert (sample.text, [e.text for e in sample.entities]) == (text, words)


def test_texts_that_are_not_annotated_in_full():
    no_label, left_out, inside, good = xml(
        "<p><EM>Ada</EM></p><p>a <OMITIDO>b</OMITIDO></p><OMITIDO><p>c</p></OMITIDO>"
        "<p></p><p>good</p>"
    )
    assert no_label == Rejected(Reason.UNKNOWN_LABEL, "own:2", "an entity without a label")
    assert left_out.reason is inside.reason is Reason.NOT_ACCEPTED
    assert good.text == "good"


BOMB = (
    "<!DOCTYPE all ["
    + '<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    + "]>"
)


@pytest.mark.parametrize(
    ("head", "body", "said"),
    [
        pytest.param(BOMB, "<p>&a11;</p>", "declares an entity", id="entities that grow"),
        pytest.param(
            '<!DOCTYPE all [<!ENTITY x SYSTEM "/etc/hosts">]>',
            "<p>&x;</p>",
            "declares an entity",
            id="a file as an entity",
        ),
        pytest.param(
            '<!DOCTYPE all SYSTEM "other.dtd">', "<p>x</p>", "another file", id="a DTD elsewhere"
        ),
        pytest.param(
            '<!DOCTYPE all [<!ENTITY % x SYSTEM "x">%x;]>',
            "<p>x</p>",
            "declares an entity",
            id="parameter entities",
        ),
        pytest.param("", "<p>&unknown;</p>", "not well-formed", id="an entity of nobody"),
        pytest.param("", "<p>x", "not well-formed", id="not closed"),
    ],
)
def test_xml_that_is_refused(head, body, said):
    with pytest.raises(DataError, match=f"own.*{said}"):
        xml(body, head=head, encoding="utf-8")


def test_a_plain_doctype_is_harmless():
    (sample,) = xml("<p>x</p>", head="<!DOCTYPE all>")
    assert sample.text == "x"
