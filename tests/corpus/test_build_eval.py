"""The eval build: our own words through every format, and the real archives if at hand."""

import json
import zipfile
from pathlib import Path

import pytest

from b2ner import files
from b2ner.corpus import archive
from b2ner.corpus.build_eval import build_eval, read_eval_set
from b2ner.corpus.eval_sets import Names, eval_sets
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
    built = build_eval(source, out)
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
    built = build_eval(source, tmp_path / "out")
    (rejected,) = built.sets[0].rejected
    assert (rejected.reason, rejected.place) == (Reason.UNKNOWN_LABEL, "crossner_ai/test.txt:5")
    assert len(built.missing) == len(eval_sets()) - 6
    manifest = files.read_json(tmp_path / "out" / "manifest.json")
    assert manifest["missing"] == list(built.missing)
    assert manifest["sets"][0]["rejected"] == [
        {"reason": "unknown label", "place": "crossner_ai/test.txt:5", "detail": "'y'"}
    ]
    assert manifest["sets"][2]["stands_for_test"] == "dev"


def test_the_same_bytes_every_time_and_the_hashes_hold(source, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    build_eval(source, one, names=Names.STANDARD)
    build_eval(source, other, names=Names.STANDARD)
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
    build_eval(source, tmp_path / "out", limit=4)
    rows = files.read_json(tmp_path / "out" / "NER_en" / "mit-movie" / "test.json")
    assert [row["sentence"] for row in rows] == ["t2", "t3", "t7", "t8"]


def test_a_source_with_nothing_in_it(tmp_path):
    with pytest.raises(DataError, match="crossner_ai"):
        build_eval(tmp_path, tmp_path / "out")


@pytest.mark.skipif(SHARED is None, reason="shared/data stands neither in nor beside the checkout")
def test_the_real_archives_hold_what_the_catalog_says():
    catalog = {e["name"]: e for e in json.loads((SHARED / "catalog.json").read_text("utf-8"))}
    for eval_set in eval_sets():
        rows = list(read_eval_set(eval_set, archive.find(SHARED / "raw", eval_set.archive)))
        samples = [row for row in rows if isinstance(row, Sample)]
        assert samples == rows, eval_set.name
        counts = catalog[eval_set.archive]["counts"][eval_set.split]
        found = {"sentences": len(samples), "mentions": sum(len(s.entities) for s in samples)}
        assert found == {name: counts[name] for name in found}, eval_set.name
        for sample in samples:
            assert all(sample.text[e.start : e.end] == e.text for e in sample.entities)
        known = {entry["label"] for entry in catalog[eval_set.archive]["labels"]}
        assert set(eval_set.names) == known
