"""A corpus of one's own in every format: the same texts come out, and what could not be kept."""

import json

import pytest

from b2ner import files
from b2ner.corpus.guess import Told, guess
from b2ner.corpus.imports import import_corpus, label_names, write_import
from b2ner.corpus.json_readers import Unit
from b2ner.corpus.published import read_data_set
from b2ner.errors import DataError, LabelError
from b2ner.records import Reason, Task

pytestmark = pytest.mark.torchfree

TEXT = "😀 Zoë saw Rom ."
FOUND = [("Zoë", "PER"), ("Rom", "LOC")]


def places(unit, last=0):
    """(start, end, label) of both mentions, as a unit counts."""
    sizes = {Unit.CHARACTERS: len, Unit.BYTES: lambda s: len(s.encode())}
    size = sizes.get(unit, lambda s: len(s.encode("utf-16-le")) // 2)
    return [
        (size(TEXT[: TEXT.index(words)]), size(TEXT[: TEXT.index(words)] + words) - last, label)
        for words, label in FOUND
    ]


def entities(unit, *, words, start="start", end="end", label="label"):
    return [
        {start: first, end: last, label: name, **({words: said} if words else {})}
        for (first, last, name), (said, _) in zip(places(unit), FOUND, strict=True)
    ]


def lines(*rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


TOKENS = TEXT.split()
TAGS = ["O", "B-PER", "O", "B-LOC", "O"]
CHARACTERS = entities(Unit.CHARACTERS, words="text")
SPANS = places(Unit.CHARACTERS)
REGIONS = [
    {"start": start, "end": end, "text": words, "labels": [label]}
    for (start, end, label), (words, _) in zip(places(Unit.UTF16), FOUND, strict=True)
]
FILES = {
    "columns.conll": "\n".join(f"{a}\t{b}" for a, b in zip(TOKENS, TAGS, strict=True)) + "\n",
    "tagfirst.txt": "\n".join(f"{b} {a}" for a, b in zip(TOKENS, TAGS, strict=True)) + "\n",
    "tokens.csv": "word,tag\n" + "\n".join(f"{a},{b}" for a, b in zip(TOKENS, TAGS, strict=True)),
    "en-sheet.txt": "## labels: LOC; PER\n😀 [[Zoë|PER]] saw [[Rom|LOC]] .\n",
    "ours.jsonl": lines({"text": TEXT, "entities": CHARACTERS}),
    "words.jsonl": lines({"text": TEXT, "entities": [{"label": b, "text": a} for a, b in FOUND]}),
    "utf16.jsonl": lines({"text": TEXT, "entities": entities(Unit.UTF16, words="text")}),
    "bytes.jsonl": lines({"text": TEXT, "entities": entities(Unit.BYTES, words="text")}),
    "lists.json": json.dumps([{"text": TEXT, "label": SPANS}]),
    "tokens.jsonl": lines({"tokens": TOKENS, "ner": [[1, 1, "PER"], [3, 3, "LOC"]]}),
    "tags.jsonl": lines({"tokens": TOKENS, "ner_tags": TAGS}),
    "prodigy.jsonl": lines({"text": TEXT, "spans": CHARACTERS, "answer": "accept"}),
    "spacy.json": json.dumps([[TEXT, {"entities": SPANS}]]),
    "studio.json": json.dumps(
        [
            {
                "data": {"text": TEXT},
                "annotations": [
                    {"result": [{"type": "labels", "id": r["text"], "value": r} for r in REGIONS]}
                ],
            }
        ]
    ),
    "studio-min.json": json.dumps([{"text": TEXT, "label": REGIONS}]),
    "table.csv": 'text,entities\n"{}","{}"\n'.format(
        TEXT, json.dumps(CHARACTERS).replace('"', '""')
    ),
    "split.json": json.dumps(
        [{"sentence": TEXT, "entities": [{"name": a, "type": b} for a, b in FOUND]}]
    ),
}


def put(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
    return path


def brought(path, **options):
    return import_corpus(path, guess(path), **options)


def said(imported):
    return [
        [(entity.text, entity.label) for entity in row.entities]
        for one in imported.sets
        for row in one.samples
    ]


@pytest.mark.parametrize(("name", "content"), FILES.items(), ids=FILES)
def test_every_format_says_the_same(tmp_path, name, content):
    imported = brought(put(tmp_path, name, content))
    assert imported.rejected == ()
    (one,) = imported.sets
    (sample,) = one.samples
    assert sample.text == TEXT
    assert said(imported) == [FOUND]
    assert all(e.span.of(TEXT) == e.text for e in sample.entities)
    assert one.labels == sample.labels == ("LOC", "PER")


def test_a_unit_that_words_do_not_tell(tmp_path):
    path = put(
        tmp_path, "x.jsonl", lines({"text": TEXT, "entities": entities(Unit.UTF16, words="")})
    )
    imported = import_corpus(path, guess(path, Told(unit=Unit.UTF16)))
    assert said(imported) == [FOUND]


def test_a_brat_folder(tmp_path):
    marks = [
        f"T{n}\t{label} {start} {end}\t{words}"
        for n, ((start, end, label), (words, _)) in enumerate(zip(SPANS, FOUND, strict=True))
    ]
    put(tmp_path, "deep/a.txt", TEXT)
    put(tmp_path, "deep/a.ann", "\n".join(marks) + "\n")
    assert said(brought(tmp_path)) == [FOUND]


def test_a_published_folder_keeps_its_sets_and_splits(tmp_path):
    row = {"sentence": TEXT, "entities": [{"name": a, "type": b} for a, b in FOUND]}
    for place in ("NER_de/one", "NER_en/two", "RE_en/three"):
        put(tmp_path, f"{place}/labels.json", '["PER", "LOC", "ORG"]')
        put(tmp_path, f"{place}/dev.json", json.dumps([row]))
    imported = brought(tmp_path)
    assert [(one.place, one.split) for one in imported.sets] == [
        ("NER_de/one", "dev"),
        ("NER_en/two", "dev"),
    ]
    assert imported.sets[0].labels == ("PER", "LOC", "ORG")  # in their order, also if not used
    assert imported.skipped == ("RE_en/three",)


def test_texts_with_label_sets_of_their_own(tmp_path):
    sheet = "## labels: a; b\n[[x|a]]\n\n## labels: c\n## language: de\ny\n"
    imported = brought(put(tmp_path, "en-x.txt", sheet))
    assert [(one.language, one.labels) for one in imported.sets] == [
        ("de", ("c",)),
        ("en", ("a", "b")),
    ]
    path = put(
        tmp_path,
        "x.jsonl",
        lines(
            {"text": "x", "entities": [{"label": "a", "text": "x"}]},
            {"text": "x", "entities": [], "labels": ["b"]},
        ),
    )
    (one,) = brought(path).sets
    assert one.labels == ("a", "b")
    assert [row.labels for row in one.samples] == [("a",), ("b",)]


def test_labels_get_new_names_and_others_are_rejected(tmp_path):
    path = put(tmp_path, "ours.jsonl", FILES["ours.jsonl"])
    imported = brought(path, labels=label_names("LOC = place, PER=person, date"))
    assert said(imported) == [[("Zoë", "person"), ("Rom", "place")]]
    assert imported.sets[0].labels == ("place", "person", "date")
    imported = brought(path, labels=label_names("LOCATION, PER"))
    assert [row.reason for row in imported.rejected] == [Reason.UNKNOWN_LABEL]
    assert imported.rejected[0].detail == "'LOC'; close: LOCATION"
    with pytest.raises(LabelError):
        brought(path, labels={"LOC": "pl\nace", "PER": "person"})


@pytest.mark.parametrize(
    ("name", "content", "place", "reason"),
    [
        ("x.conll", "A\tB-x\nb\tO\n\nbroken\n\nc\tO\n", "x.conll:4", Reason.MALFORMED),
        (
            "x.jsonl",
            FILES["ours.jsonl"] + '{"text": \n' + FILES["ours.jsonl"],
            "x.jsonl:2",
            Reason.MALFORMED,
        ),
        (
            "x.json",
            json.dumps([{"text": TEXT, "label": SPANS}, {"text": "No", "label": [[0, 9, "x"]]}]),
            "x.json:2",
            Reason.SPAN_MISMATCH,
        ),
        (
            "en-x.txt",
            "## labels: a\n[[x|a]]\n[[x|b]]\n",
            "en-x.txt:3",
            Reason.UNKNOWN_LABEL,
        ),
    ],
)
def test_what_cannot_be_kept_is_named(tmp_path, name, content, place, reason):
    imported = brought(put(tmp_path, name, content))
    assert [(row.place, row.reason) for row in imported.rejected] == [(place, reason)]
    assert imported.sets
    write_import(imported, tmp_path / "out")
    (row,) = files.read_jsonl(tmp_path / "out" / "rejected.jsonl")
    assert row.value["place"] == place


@pytest.mark.parametrize(
    ("text", "language", "known"),
    [
        ("他 在 北京", "zh", True),
        ("Ada", "en", False),
        ("彼 は ロマ に いる", "ja", True),
        ("서울 에 산다", "ko", True),
        ("η Αθήνα", "el", True),
    ],
)
def test_the_script_tells_the_language(tmp_path, text, language, known):
    words = text.split()
    content = "".join(f"{word}\t{'O' if n else 'B-x'}\n" for n, word in enumerate(words))
    imported = brought(put(tmp_path, "x.conll", content))
    assert imported.sets[0].language == language
    assert imported.language_known is known
    assert brought(tmp_path / "x.conll", language="fr").sets[0].language == "fr"


@pytest.mark.parametrize(
    ("file", "name", "split"),
    [
        ("mine.conll", "mine", "train"),
        ("mine/test.conll", "mine", "test"),
        ("mine/valid.conll", "mine", "dev"),
    ],
)
def test_names_and_splits_of_files(tmp_path, file, name, split):
    path = put(tmp_path, file, FILES["columns.conll"])
    (one,) = brought(path).sets
    assert (one.name, one.split) == (name, split)
    (one,) = brought(path, name="other", split="dev").sets
    assert (one.place, one.split) == ("NER_en/other", "dev")


def test_what_is_written_is_read_again(tmp_path):
    imported = brought(put(tmp_path, "ours.jsonl", FILES["ours.jsonl"]))
    out = tmp_path / "out"
    written = write_import(imported, out)
    place = out / "NER_en" / "ours"
    names = ("labels.json", "train.json", "train.jsonl")
    assert written == [place / name for name in names]
    (again,) = read_data_set(place, "train", Task.NER, language="en", source="x")
    assert again.entities == imported.sets[0].samples[0].entities
    for path in (place / "train.jsonl", out):
        assert said(brought(path)) == [FOUND]


def test_a_second_split_joins_the_first(tmp_path):
    out = tmp_path / "out"
    write_import(brought(put(tmp_path, "a/train.conll", "A\tB-x\nb\tO\n")), out)
    write_import(brought(put(tmp_path, "a/dev.conll", "A\tB-c\nb\tO\n")), out)
    assert files.read_json(out / "NER_en" / "a" / "labels.json") == ["x", "c"]
    with pytest.raises(DataError, match="already; --overwrite"):
        write_import(brought(tmp_path / "a/dev.conll"), out)
    write_import(brought(tmp_path / "a/dev.conll"), out, overwrite=True)


def test_relations_are_counted(tmp_path):
    relation = {"type": "relation", "from_id": "Zoë", "to_id": "Rom", "labels": ["saw"]}
    tasks = json.loads(FILES["studio.json"])
    tasks[0]["annotations"][0]["result"].append(relation)
    imported = brought(put(tmp_path, "x.json", json.dumps(tasks)))
    assert imported.relations == 1
    assert said(imported) == [FOUND]
