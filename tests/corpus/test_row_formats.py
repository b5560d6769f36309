"""Files of archives to rows, by their formats; many files, pairs of files, and what is refused."""

import json
import zipfile
from pathlib import Path

import pytest

from b2ner.corpus import row_formats
from b2ner.corpus.brat import BratFolder, Cut
from b2ner.corpus.catalog import entries, entry
from b2ner.corpus.inline import InlineTags, XmlElements
from b2ner.corpus.json_families import JsonFormat, JsonRows
from b2ner.corpus.json_readers import JsonSpans, JsonTags, JsonValues
from b2ner.corpus.readers import Annotation
from b2ner.corpus.reading import read
from b2ner.corpus.row_formats import read_rows
from b2ner.corpus.standoff import StandoffTables
from b2ner.corpus.tables import CsvSpans, SessionLines
from b2ner.errors import DataError
from b2ner.records import Rejected, Sample

pytestmark = pytest.mark.torchfree

ROOT = Path(__file__).resolve().parents[2]
RAW = next(
    (path for f in (ROOT.parent, ROOT) if (path := f / "shared" / "data" / "raw").is_dir()), None
)
ROW = {"text": "in Turin", "entities": [{"start": 3, "end": 8, "label": "city"}]}
TOKENS = {"tokens": ["in", "Turin"], "tags": ["O", "B-city"]}
VALUES = {"text": "in Turin", "slots": {"city": "Turin"}}
TURN = {
    "utterance": "in Turin",
    "frames": [{"service": "A_1", "slots": [{"slot": "b", "start": 3, "exclusive_end": 8}]}],
}
SPANS = CsvSpans(spans=(("city", "w", "s", "e"),))
STANDOFF = StandoffTables("s/{name}.csv", "t/{name}.csv")


@pytest.fixture
def zipped(tmp_path):
    """A function from members to their archive."""

    def write(members):
        path = tmp_path / "own.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in members.items():
                file.writestr(name, content)
        return path

    return write


def rows(layout, archive, *members):
    def annotation(name):
        return Annotation(("city", "A.b"), "en", f"own/{name}")

    return list(read_rows(layout, archive, members, annotation))


@pytest.mark.parametrize(
    ("layout", "members"),
    [
        pytest.param(JsonSpans(), {"a": json.dumps(ROW)}, id="json-spans"),
        pytest.param(JsonTags(), {"a": json.dumps(TOKENS)}, id="json-tags"),
        pytest.param(JsonValues(), {"a": json.dumps(VALUES)}, id="json-values"),
        pytest.param(JsonRows(JsonFormat.SGD), {"a": json.dumps([{"turns": [TURN]}])}, id="json"),
        pytest.param(InlineTags(), {"a": "in <city>Turin</city>"}, id="inline-tags"),
        pytest.param(
            XmlElements(label="k"), {"a": '<x><p>in <EM k="city">Turin</EM></p></x>'}, id="xml"
        ),
        pytest.param(SPANS, {"a": "id,text,w,s,e\n1,in Turin,Turin,3,8\n"}, id="csv-spans"),
        pytest.param(
            SessionLines(), {"a": '1,"in Turin\t9",{"city": "Turin"}'}, id="session-lines"
        ),
        pytest.param(
            BratFolder(Cut.LINES, without=("b.txt",)),
            {"a.txt": "in Turin", "a.ann": "T1\tcity 3 8\tTurin\n", "b.txt": "x", "b.ann": ""},
            id="brat",
        ),
        pytest.param(
            STANDOFF,
            {
                "a.txt": "in Turin",
                "s/a.csv": "1\t1\t0\t8\n",
                "t/a.csv": "1\t1\t0\t2\tO\n1\t2\t3\t8\tB-city\n",
            },
            id="standoff-tables",
        ),
    ],
)
def test_every_format_finds_its_mention(zipped, layout, members):
    archive = zipped(members)
    texts = [name for name in members if "." not in name or name.endswith(".txt")]
    (sample,) = rows(layout, archive, *texts)
    assert isinstance(sample, Sample), sample
    assert [e.text for e in sample.entities] == ["Turin"]
    assert sample.source.startswith(f"own/{texts[0]}:")
    with pytest.raises(DataError, match="has no member"):
        rows(layout, zipped({}), *texts)


def test_many_files_and_few_are_read_alike(zipped):
    members = {f"{n}.json": json.dumps(ROW) + "\n" + json.dumps(ROW) for n in range(20)}
    many = rows(JsonSpans(), zipped(members), *members)
    few = [row for name in members for row in rows(JsonSpans(), zipped(members), name)]
    assert many == few
    assert len(many) == 40


def test_a_line_separator_inside_a_row_ends_no_line(zipped):
    members = {
        f"{n}": json.dumps({**ROW, "text": "in Turin\u2028x\x85"}, ensure_ascii=False)
        for n in range(9)
    }
    assert all(isinstance(row, Sample) for row in rows(JsonSpans(), zipped(members), *members))


def test_pairs_of_files(zipped):
    texts = json.dumps({"id": 1, "text": "in Turin"})
    answers = json.dumps({"id": 1, "entities": ROW["entities"]})
    archive = zipped({"a": texts, "b": answers})
    (sample,) = rows(JsonSpans(joined_on="id"), archive, "a", "b")
    assert sample.entities[0].text == "Turin"


@pytest.mark.parametrize("count", [1, 9])
@pytest.mark.parametrize("layout", [JsonSpans(rows="*"), BratFolder(Cut.LINES)])
def test_what_inflates_beyond_the_limit_is_refused(zipped, monkeypatch, layout, count):
    monkeypatch.setattr(row_formats, "_MAX_BYTES", 1000)
    members = {f"{n}{end}": "0" * 100_000 for n in range(count) for end in (".txt", ".ann")}
    archive = zipped(members)
    assert archive.stat().st_size < 10_000
    with pytest.raises(DataError, match="holds more than 1000 bytes"):
        rows(layout, archive, *(name for name in members if name.endswith(".txt")))


def test_a_broken_archive_is_named(tmp_path):
    path = tmp_path / "own.zip"
    path.write_bytes(b"PK\x03\x04 and no more")
    for layout in (JsonSpans(), BratFolder(Cut.LINES)):
        with pytest.raises(DataError, match=r"own\.zip"):
            rows(layout, path, "a.txt")


@pytest.mark.skipif(RAW is None, reason="the collection of corpora is not here")
@pytest.mark.parametrize(
    "name",
    [
        "agriner_tw",
        "casie_events",
        "ccks2020_military",
        "conll04_relations",
        "diakg_sample",
        "figer_gold",
        "nlpcc2018_slu",
        "nlu_plus_plus",
        "runne_nerel_ru",
        "thai_nner",
        "wikievents",
    ],
)
def test_a_corpus_has_the_mentions_that_its_entry_counts(name):
    data_set = entry(name)
    found = [row for split in data_set.splits for row in read(data_set, split, RAW / f"{name}.zip")]
    samples = [row for row in found if isinstance(row, Sample)]
    assert sum(isinstance(row, Rejected) for row in found) <= 0.005 * len(found)
    for sample in samples:
        assert all(sample.text[e.start : e.end] == e.text for e in sample.entities)
    expected = sum(counts.get("mentions", 0) for counts in data_set.counts.values())
    assert sum(len(row.entities) for row in samples) == pytest.approx(expected, rel=0.005)


def test_every_open_licence_says_what_it_is_stated_for():
    unsaid = [e.name for e in entries() if e.licence_class == "open" and not e.stated_for]
    assert unsaid == []
