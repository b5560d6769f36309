"""Prompts: the fixed words of a template around labels and a text. Knows no model.

A template is a file in `templates/`, known by its id; an adapter knows one template, byte for
byte, so its card names the id and the hash. `published` holds the instructions of the published
system, for named entity recognition and its other tasks (`tasks`).

A template's pieces are filled once and never scanned again: labels, descriptions, examples and
texts may hold braces, `{text}` or anything else. They are put in as given; a caller who wants
control characters hidden from the model passes what `segments.shown` returns.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from importlib import resources

from b2ner import segments
from b2ner.errors import InputError, LabelError
from b2ner.prompting import tasks
from b2ner.prompting.forms import LABEL_FIRST, AnswerForm, answer_form
from b2ner.records import Fault, FaultKind, Sample, Task

FALLBACK = "en"  # the language used for those that a template does not have
_NAMES = {"en": "English", "zh": "Chinese"}


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model reads: `head + body`. The answer follows without a blank; it brings its own.

    The head is the same for all texts asked for the same labels in one way, and ends with the word
    that announces the text (`Text:`). The body is a blank, the text and the cue for the answer.
    """

    head: str
    body: str


class Kind(StrEnum):
    """The ways to ask."""

    ZERO_SHOT = "zero-shot"
    DESCRIPTION = "zero-shot-with-description"
    FEW_SHOT = "few-shot"

    @classmethod
    def of(cls, descriptions: Mapping[str, str] | None, examples: Sequence[object]) -> Kind:
        """The way that descriptions and examples are asked with; blank descriptions are none.

        With both, it is the examples: the published few-shot prompt has no descriptions.
        """
        if examples:
            return cls.FEW_SHOT
        if descriptions and any(text.strip() for text in descriptions.values()):
            return cls.DESCRIPTION
        return cls.ZERO_SHOT


@dataclass(frozen=True, slots=True)
class Example:
    """A text and its answer, to be shown before the text in question: see `Template.example`."""

    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class Variation:
    """How a prompt differs from the plain one, as the published options say it.

    `wording` counts from 0 among the instructions of one kind (`Template.wordings`).
    `dataset_in_labels` stands after the label list, which is done in training only; `task_line`
    and `dataset_line` stand before everything else.
    """

    wording: int = 0
    dataset_in_labels: str = ""
    dataset_line: str = ""
    task_line: bool = False


PLAIN = Variation()


@dataclass(frozen=True, slots=True)
class _Wording:
    """What a template says in one language."""

    instructions: Mapping[tuple[Task, Kind], tuple[str, ...]]
    answer_prefix: str
    description: str  # of one label; empty where no instruction asks for descriptions
    example: str  # one example; empty where no instruction asks for examples


@dataclass(frozen=True, slots=True)
class Template:
    """The fixed words of prompts in some languages; `sha256` is over all of them, all tasks'."""

    id: str
    sha256: str
    form: AnswerForm  # of answers that name entities
    labels_joiner: str
    descriptions_joiner: str
    _wordings: Mapping[str, _Wording] = field(repr=False, compare=False)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that have at least a zero-shot prompt for entities."""
        asked = (Task.NER, Kind.ZERO_SHOT)
        return tuple(code for code, w in self._wordings.items() if asked in w.instructions)

    def has(self, kind: Kind, task: Task = Task.NER) -> bool:
        """Whether there is a prompt of that kind for the task, in some language."""
        return any((task, kind) in wording.instructions for wording in self._wordings.values())

    def language_for(
        self, language: str, kind: Kind, task: Task = Task.NER
    ) -> tuple[str, Fault | None]:
        """The language of the prompt when `language` is asked for, and a fault where it is another.

        A region is passed over: `zh-TW` and `zh_CN` are `zh`. Raises InputError where the template
        has no prompt of that kind for the task in any language.
        """
        code = re.split("[-_]", language.strip().lower(), maxsplit=1)[0]
        having = [c for c, w in self._wordings.items() if (task, kind) in w.instructions]
        if not having:
            raise InputError(f"template {self.id!r} has no {kind} prompt for {task}")
        if code in having:
            return code, None
        chosen = FALLBACK if FALLBACK in having else having[0]
        about = "" if task is Task.NER else f" for {task}"
        message = (
            f"template {self.id!r} has no {kind} prompt{about} in {language!r}; "
            f"it was asked in {_NAMES.get(chosen, chosen)}"
        )
        return chosen, Fault(FaultKind.LANGUAGE, message, "template")

    def wordings(self, language: str, kind: Kind, task: Task = Task.NER) -> int:
        """How many instructions of one kind there are, to be chosen by `Variation.wording`."""
        code, _ = self.language_for(language, kind, task)
        return len(self._wordings[code].instructions[task, kind])

    def instructions(self, language: str, kind: Kind, task: Task = Task.NER) -> tuple[str, ...]:
        """The instructions of one kind in exactly that language, with their slots; maybe none."""
        wording = self._wordings.get(language)
        return wording.instructions.get((task, kind), ()) if wording else ()

    def with_instructions(
        self, more: Mapping[str, Mapping[tuple[Task, Kind], Sequence[str]]]
    ) -> Template:
        """The template with others beside its instructions, by language; its own stay the first.

        Id and hash stay too: what is asked without a `Variation` has not changed.
        """
        wordings = dict(self._wordings)
        for language, added in more.items():
            own = dict(wordings[language].instructions)
            for key, instructions in added.items():
                own[key] = tuple(dict.fromkeys([*own[key], *instructions]))
            wordings[language] = replace(wordings[language], instructions=own)
        return replace(self, _wordings=wordings)

    def example(self, sample: Sample) -> Example:
        """The example that a sample makes for its task, with all it holds, as a model is shown it.

        Raises ValueError as `tasks.write` does.
        """
        written = tasks.write(sample, self.form)
        return Example(segments.shown(sample.text), segments.shown(written))

    def render(
        self,
        labels: Sequence[str],
        text: str,
        *,
        language: str,
        task: Task = Task.NER,
        descriptions: Mapping[str, str] | None = None,
        examples: Sequence[Example] = (),
        event_type: str = "",
        event_trigger: str = "",
        variation: Variation = PLAIN,
    ) -> Prompt:
        """The prompt that asks for the labels, in their order, in a text.

        Descriptions of labels that are not asked for are passed over, and so are all of them where
        there are examples (`Kind.of`). A label that has none stands in the label set alone; unlike
        the published loader, we also describe labels that end in a digit. Examples are shown in
        their order, with their whole answers. `language_for` says which language the prompt is in.

        EEA and newEEA ask about one event: its type, and for EEA its trigger words, stand in the
        head. Raises InputError without the type, and as `language_for` does.
        """
        if task in (Task.EEA, Task.NEW_EEA) and not event_type:
            raise InputError(f"{task} asks about one event: say its type")
        described = {
            label: descriptions[label]
            for label in labels
            if descriptions and descriptions.get(label, "").strip()
        }
        kind = Kind.of(described, examples)
        wording = self._wordings[self.language_for(language, kind, task)[0]]
        instruction = wording.instructions[task, kind][variation.wording]
        before, _, after = instruction.partition(" {text}")
        named = variation.dataset_in_labels
        head = _fill(
            before,
            {
                "{labels_str}": self.labels_joiner.join(labels)
                + (f" \nDataset: {named}" if named else ""),
                "{label_descriptions_str}": self.descriptions_joiner.join(
                    _fill(wording.description, {"{label}": label, "{description}": description})
                    for label, description in described.items()
                ),
                "@@examples@@": "".join(
                    _fill(wording.example, {"{text}": e.text, "{answer}": e.answer})
                    for e in examples
                ),
                "{event_type}": event_type,
                "{event_trigger}": event_trigger,
            },
        )
        first = f"Task:{task}\n" if variation.task_line else ""
        if variation.dataset_line:
            first += f"Dataset:{variation.dataset_line}\n"
        return Prompt(first + head, f" {text}{after}{wording.answer_prefix}")


@cache
def load_template(template_id: str) -> Template:
    """The template of that id. Raises InputError when there is none."""
    folder = resources.files("b2ner.prompting") / "templates"
    files = {f.name.removesuffix(".json"): f for f in folder.iterdir() if f.name.endswith(".json")}
    if template_id not in files:
        raise InputError(f"no template {template_id!r}; there is {', '.join(sorted(files))}")
    content = json.loads(files[template_id].read_text(encoding="utf-8"))
    layout, instructions = content["layout"], content["instructions"]
    words = {"layout": layout, "instructions": instructions}
    canonical = json.dumps(words, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return Template(
        id=content["id"],
        sha256=hashlib.sha256(canonical.encode()).hexdigest(),
        form=answer_form(layout.get("answer", LABEL_FIRST.name)),
        labels_joiner=layout["labels_joiner"],
        descriptions_joiner=layout["descriptions_joiner"],
        _wordings={
            language: _Wording(
                _instructions(by_task),
                answer_prefix=layout["languages"][language]["answer_prefix"],
                description=layout["languages"][language].get("description", ""),
                example=layout["languages"][language].get("example", ""),
            )
            for language, by_task in instructions.items()
        },
    )


def _instructions(
    by_task: Mapping[str, Sequence[Mapping[str, str]]],
) -> dict[tuple[Task, Kind], tuple[str, ...]]:
    """The instructions of one language, those of one task and kind in their order."""
    found: dict[tuple[Task, Kind], tuple[str, ...]] = {}
    for task, instructions in by_task.items():
        for instruction in instructions:
            key = Task(task), Kind(instruction["instruction_type"])
            found[key] = (*found.get(key, ()), instruction["instruction"])
    return found


def prompt_language(text: str) -> str:
    """`zh` where a text is mostly Han, else `en`: what the prompt is written in unless it is given.

    Each Han character weighs 1, each word of other letters up to 2, for two Han characters make
    about one word: `我用PyTorch和TensorFlow训练BERT模型` is Chinese, `He saw 北京 twice` is
    English. Kana weigh 2 each: Japanese, which mixes them with Han, is not taken for Chinese. No
    letters at all: English.
    """
    han = len(_HAN.findall(text))
    words = sum(min(len(word), 2) for word in _WORD.findall(text))
    return "zh" if han > words + 2 * len(_KANA.findall(text)) else "en"


def check_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """The labels, in order, without the blanks at their ends. Everything later uses these.

    Raises LabelError for no labels, one string in place of several, an empty label, one given
    twice, and one that holds, wherever in it, a line break, a control character, a lone surrogate
    or anything else that `segments.shown` hides.
    """
    if isinstance(labels, str):
        raise LabelError(f"labels are a list of names, not one string: [{labels!r}]")
    checked: dict[str, None] = {}
    for label in labels:
        if not isinstance(label, str):
            raise LabelError(f"a label is a string, not {type(label).__name__}: {label!r}")
        for character in label:
            if what := _unfit(character):
                raise LabelError(
                    f"the label {label!r} holds {what} (U+{ord(character):04X}): write it on one "
                    "line, in characters that a model can be shown"
                )
        stripped = label.strip()
        if not stripped or segments.is_space(stripped):
            raise LabelError(f"the label {label!r} is empty: give each entity type a name")
        if stripped in checked:
            raise LabelError(f"the label {stripped!r} is given twice: leave one of them out")
        checked[stripped] = None
    if not checked:
        raise LabelError("there are no labels: name at least one entity type")
    return tuple(checked)


def _fill(form: str, values: Mapping[str, str]) -> str:
    return _SLOT.sub(lambda slot: values[slot[0]], form)


def _unfit(character: str) -> str | None:
    """What keeps a character out of labels, or None."""
    if len(f"a{character}b".splitlines()) > 1:
        return "a line break"
    if unicodedata.category(character) in ("Cc", "Cs") or segments.shown(character) != character:
        return "what no prompt can show"
    return None


_SLOT = re.compile(r"\{\w+\}|@@examples@@")
_HAN_RANGES = (
    "\u2e80-\u2fdf\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_KANA_RANGES = "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_HAN = re.compile(f"[{_HAN_RANGES}]")
_KANA = re.compile(f"[{_KANA_RANGES}]")
_WORD = re.compile(rf"[^\W\d_{_HAN_RANGES}{_KANA_RANGES}]+")
