"""What a run reads of its sources: what was asked for, every fault said, nothing by accident."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from b2ner.errors import DataError
from b2ner.prompting.template import load_template
from b2ner.records import Rejected, Sample, Task
from b2ner.training.shown import NOTHING, Lesson, shown_with
from b2ner.workflows.sources import DataFile, Source, read_sources

TEMPLATE = load_template("published")
LABELS = ["person", "city"]


def rows(count: int, place: str) -> list[dict[str, Any]]:
    return [
        {
            "sentence": f"Ada saw {place} {number}",
            "entities": [{"name": "Ada", "type": "person"}, {"name": place, "type": "city"}],
        }
        for number in range(count)
    ]


def write_set(data: Path, key: str, name: str, labels: object, content: object) -> Path:
    folder = data / key / name
    folder.mkdir(parents=True)
    (folder / "labels.json").write_text(json.dumps(labels), "utf-8")
    if content is not None:
        (folder / "train.json").write_text(json.dumps(content), "utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    write_set(data, "NER_en", "two towns", LABELS, rows(20, "Rome"))
    write_set(data, "NER_en", "other", LABELS, rows(6, "Oslo"))
    write_set(data, "NER_zh", "other zh", ["人名"], [{"sentence": "李白在长安", "entities": []}])
    knows = {"head": {"name": "Ada"}, "type": "knows", "tail": {"name": "Moon"}}
    write_set(
        data,
        "RE_en",
        "pairs",
        ["knows", "likes"],
        [
            {"sentence": f"Ada met Moon {number}", "relations": [knows], "entities": []}
            for number in range(4)
        ],
    )
    met = {"trigger": "met", "type": "meeting", "arguments": [{"name": "Moon", "role": "guest"}]}
    told = [{"sentence": f"Ada met Moon {number}", "events": [met]} for number in range(4)]
    write_set(data, "EET_en", "acts", {"meeting": ["guest"], "war": []}, told)
    write_set(data, "EEA_en", "acts", {"meeting": ["guest"], "war": []}, told)
    write_tasks(
        tmp_path,
        NER_en=[("two towns", "full"), ("other", "random")],
        NER_zh=[("other zh", "random")],
        RE_en=[("pairs", "random")],
        EET_en=[("acts", "random")],
        EEA_en=[("acts", "random")],
    )
    return tmp_path


def write_tasks(folder: Path, **sets: list[tuple[str, str]]) -> None:
    content = {
        key: [{"sampling strategy": strategy, "dataset name": name} for name, strategy in entries]
        for key, entries in sets.items()
    }
    (folder / "train_tasks.json").write_text(json.dumps(content), "utf-8")


def source(folder: Path, **options: Any) -> Source:
    said = {"kind": "tasks", "path": folder / "data", "config": folder, **options}
    made: Source = TypeAdapter(Source).validate_python(said)
    return made


def read(
    folder: Path, seed: int = 23, **options: Any
) -> tuple[list[Sample], list[Rejected], list[DataFile]]:
    return read_sources([source(folder, **options)], TEMPLATE, seed=seed)


def per_set(samples: list[Sample]) -> Counter[str]:
    return Counter(sample.source.partition("/")[0] for sample in samples)


def test_a_task_config_is_read_with_all_its_tasks(folder: Path) -> None:
    samples, rejected, files = read(folder)
    assert not rejected
    assert Counter((sample.task, sample.language) for sample in samples) == {
        (Task.NER, "en"): 26,
        (Task.NER, "zh"): 1,
        (Task.RE, "en"): 4,
        (Task.EET, "en"): 4,
        (Task.EEA, "en"): 4,
    }
    assert [sample.text for sample in samples][:20] == [f"Ada saw Rome {n}" for n in range(20)]
    assert [(Path(file.path).parent.name, file.samples) for file in files] == [
        ("two towns", 20),
        ("other", 6),
        ("other zh", 1),
        ("pairs", 4),
        ("acts", 4),
        ("acts", 4),
    ]
    assert not any(isinstance(sample, Lesson) for sample in samples)


def test_caps_choice_and_repeats(folder: Path) -> None:
    samples, _, _ = read(folder, limit=3)
    assert per_set(samples)["two towns"] == 20  # `full` heeds no limit
    assert per_set(samples)["other"] == 3
    again, _, _ = read(folder, limit=3)
    assert again == samples
    others = {tuple(s.source for s in read(folder, seed=n, limit=3)[0]) for n in range(9)}
    assert len(others) > 3
    same = [read_sources([source(folder, limit=3, seed=7)], TEMPLATE, seed=n)[0] for n in (1, 2)]
    assert same[0] == same[1]
    samples, _, _ = read(folder, only=["other"], limit=9, filled_up=True, repeat=2)
    assert per_set(samples) == {"other": 18}
    samples, _, _ = read(folder, leave_out=["two towns", "acts"])
    assert per_set(samples) == {"other": 6, "other zh": 1, "pairs": 4}


def test_extra_keys_are_read_whatever_is_chosen(folder: Path) -> None:
    write_tasks(
        folder,
        NER_en=[("two towns", "full"), ("other", "full")],
        NER_zh_EXTRA=[("other zh", "full")],
    )
    samples, _, _ = read(folder, only=["other"])
    assert per_set(samples) == {"other": 6, "other zh": 1}
    assert {sample.language for sample in samples} == {"en", "zh"}
    samples, _, _ = read(folder, only=["other"], language="zh")
    assert {sample.language for sample in samples} == {"zh"}


def test_upsampling_and_thinning(folder: Path) -> None:
    write_tasks(folder, NER_en=[("two towns", "downsample"), ("other", "random&upsample_3")])
    samples, _, _ = read(folder, limit=4, thinned_to=0.5)
    assert per_set(samples) == {"two towns": 10, "other": 12}
    with pytest.raises(DataError, match="two towns is to be thinned"):
        read(folder)


def test_shares_without_and_with_examples(folder: Path) -> None:
    samples, _, _ = read(folder, zero_shot=0.5, few_shot=0.25, examples=2)
    examples = {
        name: Counter(
            shown_with(sample).examples for sample in samples if sample.source.startswith(name)
        )
        for name in ("two towns", "pairs", "acts")
    }
    assert examples["two towns"] == {0: 10, 2: 5}
    assert examples["pairs"] == {0: 2, 2: 1}
    assert examples["acts"] == {0: 8}  # no prompt with examples for events: whole, without
    towns = [sample for sample in samples if sample.source.startswith("two towns")]
    assert len({id(shown_with(sample)) for sample in towns}) == 2
    plain, _, _ = read(folder)
    assert all(shown_with(sample) is NOTHING for sample in plain)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"few_shot": 0.5}, "few_shot and examples go together"),
        ({"examples": 3}, "few_shot and examples go together"),
        ({"zero_shot": 0.0}, "nothing would be read"),
        ({"thinned_to": 0.0}, "greater than 0"),
        ({"limit": 0}, "greater than or equal to 1"),
        ({"split": "valid"}, "'train', 'dev' or 'test'"),
        ({"prompts": {"colour": 1}}, "Unexpected keyword argument"),
    ],
)
def test_settings_that_would_read_nothing_or_mean_nothing(
    folder: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        source(folder, **options)


def test_descriptions_and_names(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    towns = folder / "data" / "NER_en" / "two towns"
    (towns / "meaning.json").write_text('{"person": "a human being"}')
    (towns / "meaning_paraphrase.json").write_text('{"person": ["somebody", "anybody"]}')
    prompts = {"descriptions": "meaning", "paraphrases": 1, "described": 0.5, "named": 0.2}
    with caplog.at_level(logging.WARNING):
        samples, _, _ = read(folder, prompts=prompts)
    shown = {sample.source.partition("/")[0]: shown_with(sample) for sample in samples}
    assert shown["two towns"].descriptions == {"person": ("a human being", "somebody")}
    assert (shown["two towns"].described, shown["two towns"].named) == (0.5, 0.2)
    assert shown["two towns"].name == "two towns"
    assert shown["other"].descriptions == {}
    assert sum("no description in meaning.json" in line for line in caplog.messages) == 2
    samples, _, _ = read(folder, prompts={"named": 1.0, "name": "all of them"})
    assert {shown_with(sample).name for sample in samples} == {"all of them"}


def test_all_that_is_missing_at_once(folder: Path) -> None:
    for path in (folder / "data").glob("*/other*/labels.json"):
        path.unlink()
    write_tasks(
        folder,
        NER_en=[("other", "full"), ("absent", "full"), ("two towns", "downsample")],
        NER_zh=[("other zh", "full")],
        RE_en=[("pairs", "most")],
    )
    with pytest.raises(DataError, match="5 faults") as raised:
        read(folder)
    for said in (
        "no sampling strategy 'most'",
        "NER_en/other/labels",
        "absent/labels",
        "NER_zh/other zh/labels",
        "to be thinned",
    ):
        assert said in str(raised.value)


def test_a_missing_split_file_is_a_warning(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_set(folder / "data", "NER_en", "empty", LABELS, None)
    write_set(folder / "data", "EET_en", "empty", {"war": []}, None)
    write_tasks(folder, NER_en=[("empty", "full"), ("other", "full")], EET_en=[("empty", "full")])
    with caplog.at_level(logging.WARNING):
        samples, _, _ = read(folder)
    assert per_set(samples) == {"other": 6}
    assert sum("there is no such file" in line for line in caplog.messages) == 2
    with pytest.raises(DataError, match=r"has a train\.json there"):
        read(folder, only=["empty"])


def test_a_name_that_no_data_set_has(folder: Path) -> None:
    with pytest.raises(DataError, match="1 fault: there is no absent"):
        read(folder, only=["absent"])
    with pytest.raises(DataError, match="no data set is left"):
        read(folder, only=["other"], leave_out=["other"])


def test_what_cannot_be_learned_from_is_told(folder: Path) -> None:
    path = folder / "data" / "NER_en" / "other" / "train.json"
    bad = [{"sentence": "Ada", "entities": [{"name": "Eve", "type": "person"}]}, {"entities": []}]
    path.write_text(json.dumps([*rows(3, "Oslo"), *bad]))
    samples, rejected, files = read(folder, only=["other"], zero_shot=0.5, few_shot=1, examples=1)
    assert per_set(samples) == {"other": 4}
    assert len(rejected) == 2
    assert [(file.samples, file.rejected) for file in files] == [(4, 2)]
