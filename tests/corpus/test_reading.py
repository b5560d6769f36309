"""Data sets read through their entries, from archives of our own, good and bad."""

import gzip
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from b2ner.corpus.catalog import entries, entry, parse
from b2ner.corpus.reading import read
from b2ner.errors import DataError
from b2ner.records import Reason, Rejected, Sample

pytestmark = pytest.mark.torchfree

ROOT = Path(__file__).resolve().parents[2]
RAW = next(
    (path for f in (ROOT.parent, ROOT) if (path := f / "shared" / "data" / "raw").is_dir()), None
)
SET = """
[[set]]
name = "own"
title = "Our own"
languages = ["en"]
domain = "news"
tasks = ["NER"]
licence = "CC0 1.0"
licence_class = "open"
stated_for = "data"
source = { repository = "ours/own", commit = "0" }
"""
LABELS = "[set.labels]\nperson = 1\ncity = 2\n"
TAB = '{ kind = "conll", separator = "tab" }'


def own(layout, files='{ train = ["a"] }', more=""):
    (made,) = parse({"own": f"{SET}format = {layout}\nfiles = {files}\n{more}\n{LABELS}"})
    return made


@pytest.fixture
def zipped(tmp_path):
    """A function from members to their archive."""

    def write(**members):
        path = tmp_path / "own.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in members.items():
                content = content.encode() if isinstance(content, str) else content
                file.writestr(name.replace("__", "/"), content)
        return path

    return write


def mentions(rows):
    """The mentions of each sample; all rows must be samples whose places hold."""
    found = []
    for row in rows:
        assert isinstance(row, Sample), row
        assert all(row.text[e.start : e.end] == e.text for e in row.entities)
        found.append([(e.text, e.label) for e in row.entities])
    return found


@pytest.mark.parametrize(
    ("layout", "content"),
    [
        pytest.param(TAB, "In\tO\nTurin\tB-city\n", id="conll"),
        pytest.param('{ kind = "bar-lines" }', "In Turin|||3    7    city|||\n", id="bar-lines"),
        pytest.param('{ kind = "csv-tokens" }', "In,O\nTurin,B-city\n", id="csv-tokens"),
        pytest.param(
            '{ kind = "csv-tags", text = "text", tags = "tags" }',
            "text,tags\nTo,B-city I-city\n",
            id="csv-tags",
        ),
        pytest.param(
            '{ kind = "hipe" }',
            "TOKEN\tNE-COARSE-LIT\tMISC\nIn\tO\t_\nTurin\tB-city\t_\n",
            id="hipe",
        ),
        pytest.param('{ kind = "brackets" }', "In <city Turin>\n", id="brackets"),
        pytest.param('{ kind = "slash-chunks" }', "In/o Turin/city \n", id="slash-chunks"),
        pytest.param(
            '{ kind = "json-spans" }',
            '{"text": "In Turin", "entities": [{"start": 3, "end": 8, "label": "city"}]}\n',
            id="json-spans",
        ),
    ],
)
def test_each_format_has_its_reader(layout, content, zipped):
    (found,) = mentions(read(own(layout), "train", zipped(a=content)))
    assert [label for _, label in found] == ["city"]


def test_files_come_in_the_order_of_the_entry_and_patterns_in_that_of_numbers(zipped):
    files = '{ train = ["z", "b/*"], test = ["c"] }'
    archive = zipped(z="z\tO\n", b__10="ten\tO\n", b__9="nine\tO\n", c="c\tO\n")
    rows = list(read(own(TAB, files), "train", archive))
    assert [row.text for row in rows] == ["z", "nine", "ten"]
    assert [row.source for row in rows] == ["own/z:1", "own/b/9:1", "own/b/10:1"]
    assert {(row.labels, row.language) for row in rows} == {(("person", "city"), "en")}


def test_a_split_may_have_a_format_of_its_own(zipped):
    data_set = own(
        TAB,
        '{ train = ["a"], test = ["b"] }',
        'split_formats = { test = { kind = "slash-chunks" } }',
    )
    archive = zipped(a="Turin\tB-city\n", b="Turin/city\n")
    both = [mentions(read(data_set, split, archive)) for split in data_set.splits]
    assert both == [[[("Turin", "city")]]] * 2


def test_parallel_files_come_in_pairs(zipped):
    data_set = own('{ kind = "parallel" }', '{ train = ["x.in", "x.out", "y.in", "y.out"] }')
    members = {"x.in": "to Turin\n", "x.out": "O B-city\n", "y.in": "Ada\nBo\n", "y.out": "O\n"}
    first, second, bad = read(data_set, "train", zipped(**members))
    assert mentions([first, second]) == [[("Turin", "city")], []]
    assert bad == Rejected(Reason.MALFORMED, "own/y.in:2", "the file with the tags ends before it")


def test_gzipped_members_and_folders(zipped, tmp_path):
    content = gzip.compress(b"Turin\tB-city\n")
    data_set = own(TAB, '{ train = ["a.gz"] }')
    assert mentions(read(data_set, "train", zipped(**{"a.gz": content}))) == [[("Turin", "city")]]
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "a.gz").write_bytes(content)
    assert mentions(read(data_set, "train", tmp_path / "own")) == [[("Turin", "city")]]


def test_an_unknown_split_is_told(zipped):
    with pytest.raises(DataError, match="own: has no split 'dev', but train"):
        list(read(own(TAB), "dev", zipped(a="")))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param('{ train = ["b"] }', "has no member 'b'", id="a file"),
        pytest.param('{ train = ["b*"] }', "has no member that fits", id="a pattern"),
    ],
)
def test_absent_files_are_told(files, message, zipped):
    with pytest.raises(DataError, match=message):
        list(read(own(TAB, files), "train", zipped(a="")))


def test_another_encoding_rejects_the_sentences_that_show_it(zipped):
    content = "Turin\tB-city\n\nZoë\tB-person\n\nPo\tO\n".encode("latin-1")
    good, bad, after = read(own(TAB), "train", zipped(a=content))
    assert bad == Rejected(Reason.MALFORMED, "own/a:3", "line 3: not UTF-8")
    assert mentions([good, after]) == [[("Turin", "city")], []]


def test_a_broken_archive_is_told(zipped):
    archive = zipped(a="Turin\tB-city\n" * 100)
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"own\.zip"):
        list(read(own(TAB), "train", archive))


# -- the shared corpora ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *(
            "keps_id",
            "hipe2020_en",
            "dsner_ecommerce",
            "chemrxn_roles",
            "conll2002_nl",
            "anercorp_ar",
        ),
        *("bank_reviews", "finer_ord", "nemo_he", "hipe2022_newseye_sv"),
    ],
)
def test_mentions_are_as_many_as_the_entry_says(name):
    """Sets of each kind of columns, small ones; `scripts/check_catalog.py` reads all."""
    if RAW is None or not (RAW / f"{name}.zip").is_file():
        pytest.skip("no shared corpora here")
    known = entry(name)
    for split in known.splits:
        rows = list(read(known, split, RAW / f"{name}.zip"))
        samples = [row for row in rows if isinstance(row, Sample)]
        assert len(rows) - len(samples) <= 0.005 * len(rows)
        told = known.counts[split]["mentions"]
        assert abs(sum(len(s.entities) for s in samples) - told) <= 0.005 * told


def check(*arguments):
    command = [sys.executable, "scripts/check_catalog.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_the_script_for_maintainers_tells_what_is_wrong(tmp_path):
    counts = tmp_path / "counts.json"
    with zipfile.ZipFile(tmp_path / "masakhaner2_zul.zip", "w") as file:
        for split in ("train", "dev", "test"):
            file.writestr(f"{split}.txt", "uThemba B-PER\n\nlapha\n")
    done = check(tmp_path, "masakhaner2_zul", "wnut17", "--processes", 2, "--json", counts)
    assert done.returncode == 1, done.stderr
    assert "WRONG rejected: 3 of 6; WRONG counts: mentions" in done.stdout
    assert "noted not there" in done.stdout
    (zulu, absent) = json.loads(counts.read_text())
    assert (zulu["rows"], zulu["labels"], absent["rows"]) == (6, {"PER": 3}, 0)
    assert zulu["rejected"] == {"malformed": 3}


def test_the_script_is_content_with_what_is_right(tmp_path):
    known = next(each for each in entries() if each.name == "nergrit_id")
    per_split = {split: known.counts[split]["mentions"] for split in known.splits}
    labels = iter([label for label, n in known.labels.items() for _ in range(n)])
    with zipfile.ZipFile(tmp_path / "nergrit_id.zip", "w") as file:
        for split, (name,) in known.files.items():
            rows = "".join(f"x\tB-{next(labels)}\n" for _ in range(per_split[split]))
            file.writestr(name, rows)
    done = check(tmp_path, "nergrit_id")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "wrong: 0" in done.stdout
