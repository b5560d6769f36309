"""The eval sets' own data: complete, consistent, usable as labels."""

import pytest

from b2ner.corpus.eval_sets import Names, eval_sets
from b2ner.prompting import answer
from b2ner.prompting.template import check_labels
from b2ner.records import Mention

pytestmark = pytest.mark.torchfree


@pytest.mark.parametrize("names", Names)
def test_label_names_can_be_asked_for_and_answered(names):
    for eval_set in eval_sets(names):
        labels = tuple(eval_set.names.values())
        assert check_labels(labels) == labels  # none empty, none twice, none on two lines
        assert answer.writable([Mention(label, "words") for label in labels], labels)


def test_names_agree_but_for_what_labels_are_called():
    for one, other in zip(eval_sets(Names.ORIGINAL), eval_sets(Names.STANDARD), strict=True):
        assert list(one.names) == list(other.names) == sorted(one.names)
        assert (one.name, one.archive, one.format) == (other.name, other.archive, other.format)


def test_published_names_and_tasks():
    tasks = {}
    for eval_set in eval_sets():
        tasks.setdefault(eval_set.task, []).append(eval_set.name)
    assert tasks == {
        "NER_en": [
            "CrossNER_AI",
            "CrossNER_literature",
            "CrossNER_music",
            "CrossNER_politics",
            "CrossNER_science",
            "mit-movie",
            "mit-restaurant",
        ],
        "NER_zh": ["CLUENER", "weibo", "CMeEE", "CCKS2021address"],
        "NER_en_other": [f"multiconer22_{code}" for code in ("de", "en", "es", "nl", "ru", "zh")],
    }
    assert {e.language for e in eval_sets()} == {"en", "zh"}
    assert {e.name for e in eval_sets() if e.split == "dev"} == {
        "CLUENER",
        "CMeEE",
        "CCKS2021address",
        *tasks["NER_en_other"],
    }


def test_standard_names_that_are_known():
    standard = {e.name: e.names for e in eval_sets(Names.STANDARD)}
    assert standard["CrossNER_AI"]["task"] == "research task"
    assert standard["mit-movie"]["RATING"] == "movie age rating"
    assert standard["CLUENER"]["company"] == "组织机构名->公司"
