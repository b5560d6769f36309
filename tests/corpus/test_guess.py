"""What a file is: columns and their tags, JSON rows under any names, tables, folders; and what not.

The texts are made up here.
"""

import json
from dataclasses import replace

import pytest

from b2ner.corpus.exports import Export
from b2ner.corpus.guess import Form, Told, guess
from b2ner.corpus.json_readers import JsonSpans, JsonTags, Prefixes, Unit
from b2ner.corpus.readers import Conll, Join, Separator
from b2ner.errors import DataError, InputError

pytestmark = pytest.mark.torchfree


def put(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(*rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


COLUMNS = {
    "two columns": (
        "Ada\tB-PER\nsaw\tO\nRom\tB-LOC\n\nNo\tO\n",
        Conll(Separator.TAB),
    ),
    "tags first": ("B-PER\tAda\nO\tsaw\n", Conll(Separator.TAB, token_column=1, tag_column=0)),
    "blanks": ("Ada B-PER\nsaw O\n", Conll(Separator.BLANK)),
    "CoNLL 2003": (
        "-DOCSTART- -X- -X- O\n\nAda N B-NP B-PER\nsaw V B-VP O\nthe D B-NP O\nold J I-NP O\n",
        Conll(Separator.BLANK, columns=4, tag_column=3, comment="-DOCSTART-"),
    ),
    "numbered": (
        "# text = Ada saw\n1\tAda\tB-PER\n2\tsaw\tO\n",
        Conll(Separator.TAB, columns=3, token_column=1, tag_column=2, comment="# "),
    ),
    "underscores": ("Ada\tB_PER\nsaw\tO\n", Conll(Separator.TAB, tag_mark="_")),
    "no labels": ("Ada\tB\nL.\tI\nsaw\tO\n", Conll(Separator.TAB, label="entity")),
    "bare labels": (
        "Ada\tPER\nsaw\tO\nRom\tLOC\nthen\tO\n",
        Conll(Separator.TAB, bare=True),
    ),
    "another sign for outside": (
        "Ada\tB-PER\nsaw\t_\nit\t_\n",
        Conll(Separator.TAB, outside=("_",)),
    ),
    "characters": ("王\tB-人\n五\tE-人\n来\tO\n", Conll(Separator.TAB, join=Join.NOTHING)),
    "words among characters": (
        "王\tB-人\n用\tO\niPhone\tO\n",
        Conll(Separator.TAB, join=Join.WORDS),
    ),
    "a header": (
        "token\tner\nAda\tB-PER\nsaw\tO\n",
        Conll(Separator.TAB, strays=("token\tner",)),
    ),
    "a broken line among others": (
        "Ada\tB-PER\n" + "saw\tO\n" * 20 + "broken\n",
        Conll(Separator.TAB),
    ),
}


@pytest.mark.parametrize(("text", "layout"), COLUMNS.values(), ids=COLUMNS)
def test_columns(tmp_path, text, layout):
    found = guess(put(tmp_path, "any.name", text))
    assert found.form is Form.CONLL
    assert found.layout == replace(layout, tag_column=layout.tag_column % layout.columns)


def test_further_tags_are_told(tmp_path):
    text = "1\tA\tB-LOC\tO\n2\tCity\tI-LOC\tB-ORG\n3\tsaw\tO\tO\n"
    found = guess(put(tmp_path, "x", text))
    assert found.layout.tag_column == 2
    assert "further tags, not read, in column 4" in found.what


def test_columns_that_are_named(tmp_path):
    path = put(tmp_path, "x", "1\tA\tB-LOC\tO\n2\tCity\tI-LOC\tB-ORG\n3\tsaw\tO\tO\n")
    found = guess(path, Told(Form.CONLL, token_column=1, tag_column=3))
    assert (found.layout.token_column, found.layout.tag_column) == (1, 3)


WORDS = {"start": 4, "end": 7, "label": "city", "text": "Rom"}
ROWS = {
    "ours": ([{"text": "See Rom", "entities": [WORDS]}], Form.JSONL, Export.JSONL),
    "words only": (
        [{"text": "See Rom", "entities": [{"label": "city", "text": "Rom"}]}],
        Form.JSONL,
        Export.JSONL,
    ),
    "Label Studio": (
        [{"id": 1, "data": {"text": "See Rom"}, "annotations": [{"result": []}]}],
        Form.LABEL_STUDIO,
        Export.LABEL_STUDIO,
    ),
    "Label Studio, small": (
        [{"text": "See Rom", "label": [{"start": 4, "end": 7, "labels": ["city"]}]}],
        Form.LABEL_STUDIO,
        Export.LABEL_STUDIO,
    ),
    "Prodigy": (
        [{"text": "See Rom", "spans": [], "answer": "accept"}],
        Form.PRODIGY,
        Export.PRODIGY,
    ),
    "spaCy": ([["See Rom", {"entities": [[4, 7, "city"]]}]], Form.SPACY, Export.SPACY),
    "places in lists": (
        [{"text": "See Rom", "label": [[4, 7, "city"]]}],
        Form.JSON,
        JsonSpans(entities="label?.*", label="2", start="0", end="1"),
    ),
    "other names": (
        [{"full_text": "See Rom", "spans": [{"entity_type": "city", "begin": 4, "to": 7}]}],
        Form.JSON,
        JsonSpans(
            text="full_text", entities="spans?.*", label="entity_type", start="begin", end="to"
        ),
    ),
    "a place of its own": (
        [{"text": "See Rom", "mentions": [{"type": "city", "pos": [4, 7], "name": "Rom"}]}],
        Form.JSON,
        JsonSpans(entities="mentions?.*", label="type", start="pos.0", end="pos.1", words="name"),
    ),
    "label, words, places": (
        [{"text": "See Rom", "label": {"city": {"Rom": [[4, 6]]}}}],
        Form.JSON,
        JsonSpans(
            entities="label?.*.*.*", label="@1", words="@2", start="0", end="1", inclusive=True
        ),
    ),
    "tokens counted, the end included": (
        [{"tokenized_text": ["See", "Rom"], "ner": [[1, 1, "city"]]}],
        Form.JSON,
        JsonSpans(
            text="",
            tokens="tokenized_text",
            entities="ner?.*",
            label="2",
            start="0",
            end="1",
            unit=Unit.TOKENS,
            inclusive=True,
        ),
    ),
    "tokens with tags": (
        [{"tokens": ["See", "Rom"], "ner_tags": ["O", "B-city"]}],
        Form.JSON,
        JsonTags(tags={"": "ner_tags"}),
    ),
    "tokens with bare tags": (
        [{"words": ["See", "Rom"], "tags": ["O", "city"]}],
        Form.JSON,
        JsonTags(tokens="words", tags={"": "tags"}, prefixes=Prefixes.RUNS),
    ),
}


@pytest.mark.parametrize(("rows", "form", "layout"), ROWS.values(), ids=ROWS)
def test_json_rows(tmp_path, rows, form, layout):
    found = guess(put(tmp_path, "any.name", lines(*rows)))
    assert (found.form, found.layout) == (form, layout)


@pytest.mark.parametrize(
    ("start", "end", "unit", "inclusive"),
    [
        pytest.param(2, 5, Unit.CHARACTERS, False, id="code points"),
        pytest.param(3, 6, Unit.UTF16, False, id="UTF-16"),
        pytest.param(5, 8, Unit.BYTES, False, id="bytes"),
        pytest.param(2, 4, Unit.CHARACTERS, True, id="the end included"),
    ],
)
def test_words_tell_the_unit(tmp_path, start, end, unit, inclusive):
    entity = {"start": start, "end": end, "label": "city", "text": "Rom"}
    found = guess(put(tmp_path, "x", lines({"text": "😀 Rom", "entities": [entity]})))
    if unit is Unit.CHARACTERS and not inclusive:
        assert found.layout is Export.JSONL
    else:
        assert (found.layout.unit, found.layout.inclusive) == (unit, inclusive)


def test_a_unit_that_is_named(tmp_path):
    path = put(tmp_path, "x", lines({"text": "😀 Rom", "entities": [{**WORDS, "text": "?"}]}))
    assert guess(path, Told(unit=Unit.UTF16)).layout.unit is Unit.UTF16


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("key", ["", "data"])
def test_rows_of_one_document(tmp_path, indent, key):
    rows = [{"text": "See Rom", "label": [[4, 7, "city"]]}, {"text": "No", "label": []}]
    document = {key: rows} if key else rows
    found = guess(put(tmp_path, "x", json.dumps(document, indent=indent)))
    assert found.layout.rows == (f"{key}.*" if key else "*")


def test_a_first_line_that_is_broken(tmp_path):
    rows = lines(*[{"text": "See Rom", "label": [[4, 7, "city"]]}] * 3)
    found = guess(put(tmp_path, "x", '{"text": \n' + rows))
    assert found.layout.rows == ""


def test_sheets(tmp_path):
    path = put(tmp_path, "en-a.txt", "## labels: city\nSee [[Rom|city]]\n")
    assert guess(path).form is Form.SHEET
    assert guess(tmp_path).form is Form.SHEET


def test_csv_with_entities(tmp_path):
    path = put(tmp_path, "x.csv", 'text,entities\nSee Rom,"[[4, 7, ""city""]]"\n')
    found = guess(path)
    assert (found.form, found.layout.label) == (Form.CSV, "2")


def test_csv_with_a_token_a_row(tmp_path):
    found = guess(put(tmp_path, "x.csv", "sent_id,word,tag\n1,See,O\n1,Rom,B-city\n2,No,O\n"))
    assert found.form is Form.CSV_TOKENS
    layout = found.layout
    assert (layout.document_column, layout.token_column, layout.tag_column) == (0, 1, 2)
    found = guess(put(tmp_path, "y.csv", '-DOCSTART-,O\n,O\nSee,O\n",",O\nRom,B-city\n'))
    assert (found.form, found.layout.comment) == (Form.CSV_TOKENS, "-DOCSTART-")


def test_folders(tmp_path):
    put(tmp_path, "brat/a.txt", "See Rom")
    put(tmp_path, "brat/a.ann", "T1\tcity 4 7\tRom\n")
    assert guess(tmp_path / "brat").form is Form.BRAT
    put(tmp_path, "pub/NER_en/a/labels.json", '["city"]')
    assert guess(tmp_path / "pub").form is Form.PUBLISHED
    assert guess(tmp_path / "pub/NER_en/a").form is Form.PUBLISHED
    split = [{"sentence": "See Rom", "entities": [{"name": "Rom", "type": "city"}]}]
    assert guess(put(tmp_path, "train.json", json.dumps(split))).form is Form.PUBLISHED


UNKNOWN = {
    "prose": ("Once upon a time.\n", "text whose first line is 'Once upon a time.'"),
    "nothing": ("", "an empty file"),
    "a zip": (b"PK\x03\x04....", "a zip archive; unpack it first"),
    "UTF-16": ("Ada".encode("utf-16"), "UTF-16"),
    "bytes": (b"a\0b", "no text"),
    "Latin-1": ("é\n".encode("latin-1"), "not UTF-8"),
    "JSON": ('{"a": 1, "b": 2}\n', "JSON rows with the keys a, b"),
    "broken JSON": ('{"a": \n', "broken"),
}


@pytest.mark.parametrize(("content", "seen"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_unknown_says_what_was_seen(tmp_path, content, seen):
    with pytest.raises(DataError, match="could not be guessed") as raised:
        guess(put(tmp_path, "x", content))
    assert seen in str(raised.value)
    assert "label-studio" in str(raised.value)


def test_unknown_folders(tmp_path):
    with pytest.raises(DataError, match="an empty folder"):
        guess(tmp_path)
    put(tmp_path, "a.xml", "<a/>")
    with pytest.raises(DataError, match=r"1 \.xml"):
        guess(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        guess(tmp_path / "none")


def test_a_format_that_it_is_not(tmp_path):
    path = put(tmp_path, "x.txt", "Once upon a time.\n")
    with pytest.raises(DataError, match="it is no conll"):
        guess(path, Told(Form.CONLL))
    with pytest.raises(InputError, match="name the folder"):
        guess(path, Told(Form.BRAT))
