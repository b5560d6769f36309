import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2ner.errors import InputError, LabelError
from b2ner.prompting import answer
from b2ner.prompting.template import (
    Example,
    Kind,
    Prompt,
    Variation,
    _instructions,
    check_labels,
    load_template,
    prompt_language,
)
from b2ner.records import Entity, FaultKind, Mention, Sample, Span, Task

pytestmark = pytest.mark.torchfree

ROOT = Path(__file__).parents[2]
GOLDEN = json.loads((ROOT / "tests/data/prompting/golden_prompts.json").read_text("utf-8"))
PUBLISHED = ROOT.parent / "shared/data/published/instruction_config_ml.json"
TEMPLATE = load_template("published")


def written(mentions):
    return answer.write([Mention(*mention) for mention in mentions])


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["case"])
def test_published_prompts_byte_for_byte(case):
    examples = [
        Example(e["text"], e["answer"] if "answer" in e else written(e["mentions"]))
        for e in case.get("examples", ())
    ]
    asked = {name: case[name] for name in ("event_type", "event_trigger") if name in case}
    prompt = TEMPLATE.render(
        case["labels"],
        case["text"],
        language=case["language"],
        task=Task(case.get("task", "NER")),
        descriptions=case.get("descriptions"),
        examples=examples,
        variation=Variation(**case.get("variation", {})),
        **asked,
    )
    assert prompt == Prompt("\n".join(case["head"]), "\n".join(case["body"]))


def test_the_goldens_hold_every_language_and_kind():
    held = {case["case"] for case in GOLDEN}
    assert held >= {f"{language} zero-shot" for language in TEMPLATE.languages}
    for language in ("en", "zh"):
        assert held >= {f"{language} with descriptions", f"{language} few-shot"}
    assert {Task(case.get("task", "NER")) for case in GOLDEN} == set(Task)


@pytest.mark.skipif(not PUBLISHED.exists(), reason=f"{PUBLISHED.name} is not beside the checkout")
def test_our_instructions_are_the_published_ones():
    ours = ROOT / "src/b2ner/prompting/templates/published.json"
    published = json.loads(PUBLISHED.read_text("utf-8"))
    assert json.loads(ours.read_text("utf-8"))["instructions"] == published


PREFIXES = {"en": "Answer:", "zh": "答案:", "de": "Antwort:", "nl": "Antwoord:", "es": "Respuesta:"}
SHOTS = {
    "en": "Text: It hit. \nAnswer: Attack: hit \n\n",
    "zh": "文本: It hit. \n答案: Attack: hit \n\n",
}
MEANS = {"en": 'Attack means "a fight"', "zh": 'Attack 是指 "a fight"'}


@pytest.mark.skipif(not PUBLISHED.exists(), reason=f"{PUBLISHED.name} is not beside the checkout")
def test_every_published_instruction_is_filled_byte_for_byte():
    asked = 0
    for language, tasks in json.loads(PUBLISHED.read_text("utf-8")).items():
        for task, instructions in tasks.items():
            for instruction in instructions:
                kind = Kind(instruction["instruction_type"])
                expected = instruction["instruction"]
                for slot, words in (
                    ("{labels_str}", "Attack, Meet"),
                    ("{label_descriptions_str}", MEANS.get(language, "")),
                    ("@@examples@@", SHOTS.get(language, "")),
                    ("{event_type}", "Attack"),
                    ("{event_trigger}", "hit"),
                    ("{text}", "They hit it."),
                ):
                    expected = expected.replace(slot, words)
                prompt = TEMPLATE.render(
                    ["Attack", "Meet"],
                    "They hit it.",
                    language=language,
                    task=Task(task),
                    descriptions={"Attack": "a fight"} if kind is Kind.DESCRIPTION else None,
                    examples=[Example("It hit.", " Attack: hit")] if kind is Kind.FEW_SHOT else [],
                    event_type="Attack" if task.endswith("EEA") else "",
                    event_trigger="hit" if task == "EEA" else "",
                )
                assert prompt.head + prompt.body == expected + PREFIXES[language]
                asked += 1
    assert asked == 24


def test_the_published_template_never_changes():
    """Adapters are trained on these words: a change needs a new template with an id of its own."""
    assert TEMPLATE.id == "published"
    assert TEMPLATE.sha256 == "e86ec6e9644eb0384173add118f0ad978c7f22c9eb289eef857d4842ae7a734f"


def test_languages():
    assert set(TEMPLATE.languages) == {"en", "zh", "de", "nl", "es"}


def test_an_unknown_template_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"no template '\.\./published'; there is .*published"):
        load_template("../published")


SLOTS = (
    "{text} {labels_str} {event_type} @@examples@@ {} {0} {{x}} {label} {description} {answer} \\1"
)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("few", [False, True], ids=["described", "few-shot"])
def test_what_looks_like_a_slot_is_words(language, few):
    def ask(more):
        return TEMPLATE.render(
            ["L" + more],
            "T" + more,
            language=language,
            descriptions={"L" + more: "D" + more},
            examples=[Example("E" + more, f" M{more}: W{more}")] if few else [],
        )

    hard, plain = ask(SLOTS), ask("")
    assert hard.head.count(SLOTS) == (4 if few else 3)
    assert hard.head.replace(SLOTS, "") == plain.head
    assert hard.body.replace(SLOTS, "") == plain.body


@pytest.mark.parametrize("task", [Task.EEA, Task.NEW_EEA])
def test_what_looks_like_a_slot_in_an_event_is_words(task):
    def ask(more):
        event = {"event_type": "E" + more, "event_trigger": "G" + more}
        return TEMPLATE.render(["L" + more], "T", language="en", task=task, **event)

    assert ask(SLOTS).head.replace(SLOTS, "") == ask("").head
    assert ask(SLOTS).head.count(SLOTS) == (3 if task is Task.EEA else 2)


@pytest.mark.parametrize("task", [Task.EEA, Task.NEW_EEA])
def test_the_arguments_of_no_event_cannot_be_asked_for(task):
    with pytest.raises(InputError, match=f"{task} asks about one event"):
        TEMPLATE.render(["Place"], "They met.", language="en", task=task, event_trigger="met")


@given(
    st.lists(st.text(min_size=1), min_size=1),
    st.text(),
    st.sampled_from(["en", "zh", "de", "nl", "es", "fr"]),
    st.dictionaries(st.text(), st.text(), max_size=2),
    st.booleans(),
)
def test_the_head_does_not_depend_on_the_text(labels, text, language, descriptions, few):
    options = {
        "language": language,
        "descriptions": descriptions,
        "examples": (Example(text, f" a: {text}"),) if few else (),
    }
    prompt = TEMPLATE.render(labels, text, **options)
    empty = TEMPLATE.render(labels, "", **options)
    assert prompt.head == empty.head
    assert prompt.head.endswith(("Text:", "文本:", "Tekst:", "Texto:"))
    assert prompt.body.startswith(f" {text} \n")
    assert len(prompt.body) == len(empty.body) + len(text)
    assert ", ".join(labels) in prompt.head


@pytest.mark.parametrize(
    ("language", "kind", "expected", "fault"),
    [
        pytest.param("en", Kind.FEW_SHOT, "en", False, id="a language with its own template"),
        pytest.param("de", Kind.ZERO_SHOT, "de", False, id="German has a zero-shot prompt"),
        pytest.param("de", Kind.DESCRIPTION, "en", True, id="but none with descriptions"),
        pytest.param("es", Kind.FEW_SHOT, "en", True, id="Spanish has no few-shot prompt"),
        pytest.param("fr", Kind.ZERO_SHOT, "en", True, id="French has none at all"),
        pytest.param("zh-TW", Kind.ZERO_SHOT, "zh", False, id="a region is passed over"),
        pytest.param("ZH_cn", Kind.ZERO_SHOT, "zh", False, id="so are capitals"),
        pytest.param("", Kind.ZERO_SHOT, "en", True, id="no language is none of ours"),
    ],
)
def test_language_for(language, kind, expected, fault):
    found, told = TEMPLATE.language_for(language, kind)
    assert found == expected
    assert (told is not None) == fault
    if told:
        assert told.kind is FaultKind.LANGUAGE
        assert told.place == "template"
        assert kind in told.message
        assert repr(language) in told.message


@pytest.mark.parametrize(
    ("task", "language", "expected", "message"),
    [
        pytest.param(Task.RE, "zh", "zh", None, id="a language of the task's own"),
        pytest.param(Task.EET, "de", "en", "for EET in 'de'; it was asked in English", id="German"),
        pytest.param(
            Task.SENTIMENT, "en", "zh", "for Sentiment in 'en'; it was asked in Chinese", id="zh"
        ),
        pytest.param(Task.NEW_EET, "fr", "zh", "asked in Chinese", id="English has it neither"),
    ],
)
def test_language_for_another_task(task, language, expected, message):
    found, told = TEMPLATE.language_for(language, Kind.ZERO_SHOT, task)
    assert found == expected
    assert told is None if message is None else told is not None and message in told.message


def test_what_the_template_has_in_no_language_is_refused():
    shot = Example("a", " None")
    with pytest.raises(InputError, match="'published' has no few-shot prompt for EET"):
        TEMPLATE.render(["Attack"], "b", language="en", task=Task.EET, examples=[shot])


def test_a_template_may_have_several_instructions_of_one_kind():
    assert TEMPLATE.wordings("zh", Kind.FEW_SHOT, Task.RE) == 1
    two = _instructions(
        {"RE": [{"instruction_type": "zero-shot", "instruction": words} for words in "ab"]}
    )
    assert two == {(Task.RE, Kind.ZERO_SHOT): ("a", "b")}


def test_a_missing_language_is_asked_in_english():
    assert TEMPLATE.render(["a"], "b", language="fr") == TEMPLATE.render(["a"], "b", language="en")


@pytest.mark.parametrize(
    ("descriptions", "few", "kind"),
    [
        pytest.param(None, False, Kind.ZERO_SHOT, id="labels alone"),
        pytest.param({}, False, Kind.ZERO_SHOT, id="no descriptions"),
        pytest.param({"a": " "}, False, Kind.ZERO_SHOT, id="a blank description is none"),
        pytest.param({"a": "b", "c": ""}, False, Kind.DESCRIPTION, id="one is enough"),
        pytest.param(None, True, Kind.FEW_SHOT, id="examples"),
        pytest.param({"a": "b"}, True, Kind.FEW_SHOT, id="examples win over descriptions"),
    ],
)
def test_kind(descriptions, few, kind):
    assert Kind.of(descriptions, [Example("t", ())] if few else []) is kind


def test_only_described_labels_are_described():
    described = {"unused": "x", "b1": "the second", "a": ""}
    prompt = TEMPLATE.render(["a", "b1"], "t", language="en", descriptions=described)
    assert '\nLabel Set: a, b1 \nLabel Description: b1 means "the second" \n\nText:' in prompt.head


def test_an_example_of_a_sample_is_in_answer_order_and_as_shown():
    text = "New York Times\0, York"
    entities = [
        Entity(Span(17, 21), "city", "York"),
        Entity(Span(0, 8), "city", "New York"),
        Entity(Span(0, 15), "work", "New York Times\0"),
        Entity(Span(0, 15), "paper", "New York Times\0"),
    ]
    sample = Sample(text, tuple(entities), ("paper", "work", "city"), "en", "here")
    assert TEMPLATE.example(sample) == Example(
        "New York Times\ufffd, York",
        " paper: New York Times\ufffd; work: New York Times\ufffd; city: New York; city: York",
    )


def test_an_example_follows_the_task_of_its_sample():
    sample = Sample(
        "好看。", (), ("正面", "负面"), "zh", "here", sentiment="正面", task=Task.SENTIMENT
    )
    assert TEMPLATE.example(sample) == Example("好看。", "正面")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        pytest.param("Ada met Grace.", "en", id="English"),
        pytest.param("雷军创办了小米。", "zh", id="Chinese"),
        pytest.param("我用PyTorch和TensorFlow训练BERT模型", "zh", id="Chinese with foreign names"),
        pytest.param("我在Google工作", "zh", id="fewer Han letters than Latin ones"),
        pytest.param("Barack Obama visited 北京大学 twice", "en", id="English with a Chinese name"),
        pytest.param("中文字 a b", "zh", id="short words weigh less"),
        pytest.param("東京に行きました", "en", id="Japanese"),
        pytest.param("日本語を勉強しています", "en", id="Japanese, half of it Han"),
        pytest.param("鲜の每日牛奶很好喝", "zh", id="one kana makes no Japanese"),
        pytest.param("서울에서 만났다", "en", id="Korean"),
        pytest.param("Москва", "en", id="Russian"),
        pytest.param("𠀀𠀁", "zh", id="Han beyond the first plane"),
        pytest.param("", "en", id="nothing"),
        pytest.param("1990 — 2020!", "en", id="no letters"),
    ],
)
def test_prompt_language(text, language):
    assert prompt_language(text) == language


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param(["person", "Person"], ("person", "Person"), id="capitals differ"),
        pytest.param([" person ", "\u3000地名"], ("person", "地名"), id="blanks at the ends go"),
        pytest.param(
            ["a: b", "a; b: c", "a->b", 'a "b"', "a, b", "a，b", "{x}", "None"],
            ("a: b", "a; b: c", "a->b", 'a "b"', "a, b", "a，b", "{x}", "None"),
            id="any mark is allowed",
        ),
        pytest.param(
            ["می\u200cخواهم", "👩‍🔬"], ("می\u200cخواهم", "👩‍🔬"), id="joiners are letters' glue"
        ),
        pytest.param((name for name in "ab"), ("a", "b"), id="an iterator will do"),
    ],
)
def test_good_labels(labels, expected):
    assert check_labels(labels) == expected


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        pytest.param([], "no labels", id="none"),
        pytest.param("person", r"not one string: \['person'\]", id="one string"),
        pytest.param(["person", ""], "'' is empty", id="an empty one"),
        pytest.param(["person", " \u3000"], "is empty", id="blanks only"),
        pytest.param(["\u200b"], "is empty", id="nothing to see"),
        pytest.param(["a", "b", "a "], "'a' is given twice", id="twice, once with a blank"),
        pytest.param(["a", 7], "a label is a string, not int: 7", id="no string"),
        pytest.param(
            ["movie\ntitle"], r"'movie\\ntitle' holds a line break \(U\+000A\)", id="break"
        ),
        pytest.param(["person\n"], "holds a line break", id="a line break at the end too"),
        pytest.param(["a\tb"], r"what no prompt can show \(U\+0009\)", id="tab"),
        pytest.param(["a\0b"], r"what no prompt can show \(U\+0000\)", id="NUL"),
        pytest.param(["a\x7f"], r"U\+007F", id="delete"),
        pytest.param(["a\ud800"], r"U\+D800", id="lone surrogate"),
        pytest.param(["a\u2581b"], r"U\+2581", id="the blank of SentencePiece"),
    ],
)
def test_bad_labels(labels, message):
    with pytest.raises(LabelError, match=message):
        check_labels(labels)


@given(st.text(st.characters(categories=["Zl", "Zp", "Cc"]), min_size=1, max_size=1))
def test_no_label_breaks_a_line(character):
    with pytest.raises(LabelError):
        check_labels([f"a{character}b"])


@given(st.lists(st.text()))
def test_checked_labels_pass_again(labels):
    try:
        checked = check_labels(labels)
    except LabelError:
        return
    assert check_labels(checked) == checked
    assert [label.strip() for label in labels] == list(checked)
