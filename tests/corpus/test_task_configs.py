"""Which data sets a task config names, and which of their samples each strategy takes."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner.corpus.task_configs import (
    Strategy,
    TaskSet,
    draw,
    read_strategy,
    read_task_config,
    share_of,
)
from b2ner.errors import DataError

pytestmark = pytest.mark.torchfree

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "published" / "ml_configs"
ROWS = tuple(range(40))


def write(folder: Path, content: object, split: str = "train") -> None:
    (folder / f"{split}_tasks.json").write_text(json.dumps(content), "utf-8")


def entry(name: str, strategy: str = "random") -> dict[str, str]:
    return {"sampling strategy": strategy, "dataset name": name}


@pytest.mark.parametrize(
    ("key", "task", "language", "folder"),
    [
        pytest.param("NER_zh", "NER", "zh", "NER_zh/a b", id="the second part is the language"),
        pytest.param("NER_en_other", "NER", "en", "NER_en_other/a b", id="the key is the folder"),
        pytest.param("Sentiment", "Sentiment", "en", "Sentiment/a b", id="English without one"),
        pytest.param("NER_zh_EXTRA", "NER", "zh", "NER_zh/a b", id="an extra key"),
        pytest.param("NER_EXTRA_zh", "NER", "zh", "NER_zh/a b", id="extra is no language"),
        pytest.param("newEEA_en", "newEEA", "en", "newEEA_en/a b", id="other tasks"),
        pytest.param("EET_en", "EET", "en", "EET_en/a b", id="the longer task"),
    ],
)
def test_what_a_task_key_says(
    tmp_path: Path, key: str, task: str, language: str, folder: str
) -> None:
    write(tmp_path, {key: [entry("a b", "full")]})
    (found,), faults = read_task_config(tmp_path, "train")
    assert not faults
    assert found == TaskSet(key, task, language, "a b", Strategy(drawn=False))
    assert found.folder(Path("data")) == Path("data") / folder
    assert found.extra is ("EXTRA" in key)
    assert read_task_config(tmp_path, "train", language="de")[0][0].language == "de"


def test_a_set_without_a_strategy_is_drawn(tmp_path: Path) -> None:
    write(tmp_path, {"NER_en": [{"dataset name": "a", "more": 1}]})
    (found,), _ = read_task_config(tmp_path, "train")
    assert found.strategy == Strategy(drawn=True)


def test_all_faults_of_a_task_config_at_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "NER_en": [
                entry("a", "most"),
                {"sampling strategy": "full"},
                entry("../b"),
                entry("c"),
            ],
            "NER_zh": {},
            "Common": [entry("d")],
            "EE_en": [entry("d")],
            "POS_en": [entry("e")],
            "RE_en": [entry("f", "random_0")],
        },
    )
    sets, faults = read_task_config(tmp_path, "train")
    assert [found.name for found in sets] == ["c"]
    expected = (
        "NER_en, data set 1 (a): there is no sampling strategy 'most'",
        "NER_en, data set 2: it has no 'dataset name'",
        "NER_en, data set 3: '../b' is no name of a folder",
        "NER_zh: expected an array",
        "'Common': there is no published instruction for Common",
        "'EE_en': there is no published instruction for EE",
        "'POS_en' is no task key",
        "RE_en, data set 1 (f): there is no sampling strategy 'random_0'",
    )
    assert len(faults) == len(expected)
    for fault, said in zip(faults, expected, strict=True):
        assert fault.startswith(said)


@pytest.mark.parametrize("content", ["[]", "{", None])
def test_what_is_no_task_config(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "dev_tasks.json").write_text(content)
    with pytest.raises(DataError, match=r"dev_tasks\.json"):
        read_task_config(tmp_path, "dev")


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("full", Strategy(drawn=False)),
        ("random", Strategy(drawn=True)),
        ("random_50000", Strategy(drawn=True, most=50_000)),
        ("upsample_3", Strategy(drawn=False, times=3)),
        ("random&upsample_2", Strategy(drawn=True, times=2)),
        ("random_9&upsample_2", Strategy(drawn=True, most=9, times=2)),
        ("downsample", Strategy(drawn=False, thinned=True)),
        ("random_downsample", Strategy(drawn=True, thinned=True)),
        ("random&downsample", Strategy(drawn=True, thinned=True)),
        ("Full", None),
        ("random_", None),
        ("random_-1", None),
        ("upsample_0", None),
        ("upsample", None),
        ("", None),
        (3, None),
    ],
)
def test_strategies(name: object, strategy: Strategy | None) -> None:
    assert read_strategy(name) == strategy


@pytest.mark.parametrize(
    ("name", "options", "size", "different"),
    [
        pytest.param("full", {"limit": 5}, 40, 40, id="full heeds no limit"),
        pytest.param("random", {"limit": 5}, 5, 5, id="without replacement"),
        pytest.param("random", {"limit": 90}, 40, 40, id="fewer than the limit"),
        pytest.param("random", {"limit": None}, 40, 40, id="no limit"),
        pytest.param("random_7", {"limit": 5}, 7, 7, id="a number of its own"),
        pytest.param("random_7", {"limit": None}, 7, 7, id="which holds without a limit too"),
        pytest.param("random", {"limit": 90, "filled_up": True}, 90, 40, id="filled up"),
        pytest.param("random", {"limit": 9, "filled_up": True}, 9, 9, id="nothing to fill up"),
        pytest.param("full", {"limit": 90, "filled_up": True}, 40, 40, id="only what is drawn"),
        pytest.param("upsample_3", {"limit": 5}, 120, 40, id="each three times"),
        pytest.param("random&upsample_3", {"limit": 5}, 15, 5, id="drawn, then repeated"),
        pytest.param("downsample", {"limit": 5, "thinned_to": 0.25}, 10, 10, id="a share"),
        pytest.param(
            "random_downsample", {"limit": 20, "thinned_to": 0.25}, 5, 5, id="a share of the drawn"
        ),
        pytest.param("random", {"limit": None, "thinned_to": 0.25}, 40, 40, id="not thinned"),
    ],
)
def test_what_strategies_take(name: str, options: dict, size: int, different: int) -> None:
    strategy = read_strategy(name)
    assert strategy is not None
    taken = draw(ROWS, strategy, random.Random(1), **options)
    assert taken == draw(ROWS, strategy, random.Random(1), **options)
    assert (len(taken), len(set(taken))) == (size, different)
    assert set(taken) <= set(ROWS)
    if not strategy.drawn and strategy.times == 1 and not strategy.thinned:
        assert taken == list(ROWS)
    if strategy.times > 1:
        assert set(Counter(taken).values()) == {strategy.times}


def test_another_seed_draws_others() -> None:
    drawn = {tuple(draw(ROWS, Strategy(True), random.Random(n), limit=5)) for n in range(9)}
    assert len(drawn) == 9


def test_a_set_without_rows_gives_none() -> None:
    assert draw((), Strategy(True), random.Random(1), limit=5, filled_up=True) == []


@given(st.integers(0, 10_000), st.integers(0, 100))
def test_a_share_is_rounded_down(size: int, percent: int) -> None:
    assert share_of(size, percent / 100) == size * percent // 100


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published task configs are not here")
@pytest.mark.parametrize(
    ("name", "train", "test"),
    [
        ("bilingual_full", 41, 14),
        ("bilingual_b2nerd_only", 40, 14),
        ("bilingual_idsupervised", 43, 26),
        ("crosslingual_multiconer22", 39, 6),
    ],
)
def test_the_published_ones(name: str, train: int, test: int) -> None:
    sets, faults = read_task_config(PUBLISHED / name, "train")
    assert not faults
    assert len(sets) == train
    assert {found.language for found in sets} == {"en", "zh"}
    tested, faults = read_task_config(PUBLISHED / name, "test")
    assert (len(tested), faults) == (test, [])
