"""The builds: our own words through the formats, and the real archives if at hand."""

import json
import zipfile
from itertools import islice
from pathlib import Path

import pytest

from b2ner import files
from b2ner.corpus import archive
from b2ner.corpus.build import build, read_data_set
from b2ner.corpus.data_sets import Names, Role, data_sets
from b2ner.errors import DataError
from b2ner.records import Reason, Sample

pytestmark = pytest.mark.torchfree

ROOT = Path(__file__).resolve().parents[2]
SHARED = next(
    (p for p in (ROOT.parent / "shared" / "data", ROOT / "shared" / "data") if p.is_dir()), None
)


@pytest.fixture
def source(tmp_path):
    """Archives with our own sentences in four formats; the other sets are missing."""
    folder = tmp_path / "raw"
    contents = {
        ("crossner_ai", "test.txt"): "Ada\tB-researcher\nuses\tO\nLisp\tB-programlang\n\nx\tB-y\n",
        ("mit_movie", "test.txt"): "O\tany\nB-GENRE\tquiet\nI-GENRE\tfilm\n\nO\tno\n",
        (
            "cluener2020",
            "dev.json",
        ): '{"text": "小王来了", "label": {"name": {"小王": [[0, 1]]}}}\n',
        ("weibo_ner", "weiboNER_2nd_conll.test"): "小0\tB-PER.NAM\n王1\tI-PER.NAM\n",
        ("cmeee", "val_data.txt"): "他发热。|||1    2    sym|||\n",
        ("multiconer22_zh", "zh_dev.conll"): "# id 1\nbig _ _ B-CW\nfish _ _ I-CW\n鱼 _ _ O\n",
    }
    folder.mkdir()
    for (name, member), text in contents.items():
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as file:
            file.writestr(member, text)
    return folder


def test_the_published_layout(source, tmp_path):
    out = tmp_path / "out"
    built = build(Role.TEST, source, out)
    assert [(made.name, made.texts, made.mentions) for made in built.sets] == [
        ("CrossNER_AI", 1, 2),
        ("mit-movie", 2, 1),
        ("CLUENER", 1, 1),
        ("weibo", 1, 1),
        ("CMeEE", 1, 1),
        ("multiconer22_zh", 1, 1),
    ]
    assert files.read_json(out / "NER_en" / "CrossNER_AI" / "test.json") == [
        {
            "sentence": "Ada uses Lisp",
            "entities": [
                {"name": "Ada", "type": "researcher", "pos": [0, 3]},
                {"name": "Lisp", "type": "programming language", "pos": [9, 13]},
            ],
        }
    ]
    assert files.read_json(out / "NER_zh" / "weibo" / "labels.json")[6] == "人名（特指）"
    (fish,) = files.read_json(out / "NER_en_other" / "multiconer22_zh" / "test.json")
    assert fish["sentence"] == "big fish鱼"


def test_rejected_and_missing_are_told(source, tmp_path):
    built = build(Role.TEST, source, tmp_path / "out")
    (rejected,) = built.sets[0].rejected
    assert (rejected.reason, rejected.place) == (Reason.UNKNOWN_LABEL, "crossner_ai/test.txt:5")
    assert len(built.missing) == len(data_sets(Role.TEST)) - 6
    manifest = files.read_json(tmp_path / "out" / "manifest.json")
    assert manifest["missing"] == list(built.missing)
    assert manifest["sets"][0]["rejected"] == [
        {"reason": "unknown label", "place": "crossner_ai/test.txt:5", "detail": "'y'"}
    ]
    assert manifest["sets"][2]["stands_for_test"] == "dev"
    assert not (tmp_path / "out" / "rejected.jsonl").exists()


def test_the_same_bytes_every_time_and_the_hashes_hold(source, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    build(Role.TEST, source, one, names=Names.STANDARD)
    build(Role.TEST, source, other, names=Names.STANDARD)
    made = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert made == sorted(path.relative_to(other) for path in other.rglob("*") if path.is_file())
    assert all((one / path).read_bytes() == (other / path).read_bytes() for path in made)
    manifest = json.loads((one / "manifest.json").read_text("utf-8"))
    for entry in manifest["sets"]:
        for path, digest in entry["sha256"].items():
            assert files.sha256(one / path) == digest


def test_a_limit_keeps_the_order_of_the_file(source, tmp_path):
    (source / "mit_movie.zip").unlink()
    folder = source / "mit_movie"
    folder.mkdir()
    (folder / "test.txt").write_text("".join(f"O\tt{n}\n\n" for n in range(10)), "utf-8")
    build(Role.TEST, source, tmp_path / "out", limit=4)
    rows = files.read_json(tmp_path / "out" / "NER_en" / "mit-movie" / "test.json")
    assert [row["sentence"] for row in rows] == ["t2", "t3", "t7", "t8"]


def test_a_source_with_nothing_in_it(tmp_path):
    with pytest.raises(DataError, match="crossner_ai"):
        build(Role.TEST, tmp_path, tmp_path / "out")


def zipped(folder, name, contents):
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as file:
        for member, text in contents.items():
            file.writestr(member, text)


@pytest.fixture
def open_source(tmp_path):
    """Archives of training and development sets, in five kinds of format."""
    folder = tmp_path / "open"
    zipped(
        folder,
        "tdmsci",
        {
            "train_1500_v2.conll": "".join(
                f"{' '.join(words)}\n".replace(" ", "\n")
                for words in (
                    ["We\t0\tO", "use\t3\tO", "Inkwell\t7\tB-DATASET", ""],
                    ["We\t0\tO", "use\t3\tO", "Inkwell\t7\tO", ""],
                    ["Any\t0\tO", "quiet\t4\tO", "film\t9\tB-TASK", ""],
                )
            )
        },
    )
    zipped(
        folder,
        "snips_slots",
        {
            "train/seq.in": "play quiet ladders\nplay this\n",
            "train/seq.out": "O B-track I-track\nO B-object_select\n",
            "valid/seq.in": "play old bells\n",
            "valid/seq.out": "O B-track I-track\n",
        },
    )
    titles = [
        {"input": "Pelle Soap", "category": "Soap", "target_scores": {"Brand": {"Pelle": 1}}},
        {"input": "Red Soap", "category": "Soap", "target_scores": {"Color": {"Red": 1}}},
    ]
    zipped(folder, "oa_mine", {"train.jsonl": "".join(json.dumps(row) + "\n" for row in titles)})
    zipped(folder, "litbank", {"a_brat.txt": "Ada .\nBo .", "a_brat.ann": "T1\tPER 0 3\tAda\n"})
    zipped(folder, "wnut17", {"emerging.dev.conll": "Ada\tB-person\n\nAda\tB-person\n"})
    return folder


def test_training_sets(open_source, tmp_path):
    out = tmp_path / "out"
    built = build(Role.TRAIN, open_source, out)
    assert [(made.name, made.texts, made.mentions) for made in built.sets] == [
        ("tdmsci", 2, 2),
        ("snips_slots", 3, 2),
        ("oa_mine", 2, 2),
        ("litbank", 2, 1),
    ]
    _, this, bells = files.read_json(out / "NER_en" / "snips_slots" / "train.json")
    assert this == {"sentence": "play this", "entities": []}  # of a label that is left out
    assert bells["entities"] == [{"name": "old bells", "type": "song", "pos": [5, 14]}]
    soap, _ = files.read_json(out / "NER_en" / "oa_mine" / "train.json")
    assert soap["labels"] == ["brand", "color"]  # what this row was annotated for
    assert len(files.read_json(out / "NER_en" / "oa_mine" / "labels.json")) > 2
    manifest = files.read_json(out / "manifest.json")
    first = manifest["sets"][0]
    assert (first["licence"], first["licence_class"]) == ("Apache License 2.0", "open")
    assert first["rejected"] == {"stands in its set already": 1}
    assert manifest["role"] == "train"
    (line,) = files.read_jsonl(out / "rejected.jsonl")
    assert line.value == {
        "set": "tdmsci",
        "reason": "stands in its set already",
        "place": "tdmsci/train_1500_v2.conll:5",
        "detail": "as tdmsci/train_1500_v2.conll:1",
    }
    assert manifest["rejected_sha256"] == files.sha256(out / "rejected.jsonl")


def test_what_stands_in_a_test_set_is_left_out_of_training(open_source, source, tmp_path):
    build(Role.TEST, source, tmp_path / "eval")  # "any quiet film"
    out = tmp_path / "out"
    built = build(Role.TRAIN, open_source, out, against=[tmp_path / "eval"])
    assert built.sets[0].count(Reason.SEEN_ELSEWHERE) == 1
    assert [
        row["sentence"] for row in files.read_json(out / "NER_en" / "tdmsci" / "train.json")
    ] == ["We use Inkwell"]
    compared = files.read_json(out / "manifest.json")["compared_with"]
    assert compared["NER_en/mit-movie/test.json"] == 2
    with pytest.raises(DataError, match="holds no data set"):
        build(Role.TRAIN, open_source, out, against=[tmp_path])


def test_development_sets_keep_every_text(open_source, tmp_path):
    built = build(Role.DEV, open_source, tmp_path / "out")
    assert [(made.name, made.texts) for made in built.sets] == [("wnut17", 2)]
    assert (tmp_path / "out" / "NER_en" / "wnut17" / "dev.json").exists()
    assert files.read_json(tmp_path / "out" / "manifest.json")["sets"][0]["splits"] == ["dev"]


def test_an_answer_that_cannot_be_written_is_no_example(tmp_path):
    folder = tmp_path / "raw"
    zipped(
        folder, "stockmark_ner_ja", {"ner.json": json.dumps([own("a b ", 0, 4), own("a b", 0, 3)])}
    )
    (made,) = build(Role.TRAIN, folder, tmp_path / "out").sets
    assert [(row.reason, row.place) for row in made.rejected] == [
        (Reason.UNWRITABLE, "stockmark_ner_ja/ner.json:1")
    ]
    assert made.texts == 1


def own(text, start, end):
    """A row of the Japanese format with one person."""
    return {
        "text": text,
        "entities": [{"name": text[start:end], "span": [start, end], "type": "人名"}],
    }


@pytest.mark.skipif(SHARED is None, reason="shared/data stands neither in nor beside the checkout")
def test_the_real_archives_hold_what_the_catalog_says():
    catalog = {e["name"]: e for e in json.loads((SHARED / "catalog.json").read_text("utf-8"))}
    for data_set in data_sets(Role.TEST):
        rows = list(read_data_set(data_set, archive.find(SHARED / "raw", data_set.archive)))
        samples = [row for row in rows if isinstance(row, Sample)]
        assert samples == rows, data_set.name
        counts = catalog[data_set.archive]["counts"][data_set.splits[0]]
        found = {"sentences": len(samples), "mentions": sum(len(s.entities) for s in samples)}
        assert found == {name: counts[name] for name in found}, data_set.name
        for sample in samples:
            assert all(sample.text[e.start : e.end] == e.text for e in sample.entities)
        known = {entry["label"] for entry in catalog[data_set.archive]["labels"]}
        assert set(data_set.names) == known


@pytest.mark.skipif(SHARED is None, reason="shared/data stands neither in nor beside the checkout")
@pytest.mark.parametrize("role", [Role.TRAIN, Role.DEV])
def test_the_real_open_archives_can_be_read(role):
    for data_set in data_sets(role):
        rows = read_data_set(data_set, archive.find(SHARED / "raw", data_set.archive))
        read = list(islice(rows, 200))
        samples = [row for row in read if isinstance(row, Sample)]
        assert len(samples) >= 0.9 * len(read), data_set.name
        assert sum(len(sample.entities) for sample in samples) >= 10, data_set.name
        for sample in samples:
            assert all(sample.text[e.start : e.end] == e.text for e in sample.entities)
