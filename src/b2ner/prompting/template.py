"""Prompts: the fixed words of a template around labels and a text. Knows no model.

A template is a file in `templates/`, known by its id; an adapter knows one template, byte for
byte, so its card names the id and the hash. `published` holds the instructions of the published
system. Of its tasks, named entity recognition is what is rendered here.

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
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Self

from b2ner import segments
from b2ner.errors import InputError, LabelError
from b2ner.prompting import answer
from b2ner.records import Fault, FaultKind, Mention, Sample

FALLBACK = "en"  # the language used for those that a template does not have
_TASK = "NER"


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
    def of(cls, descriptions: Mapping[str, str] | None, examples: Sequence[Example]) -> Kind:
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
    """A text and its mentions, in answer order, to be shown before the text in question."""

    text: str
    mentions: tuple[Mention, ...]

    @classmethod
    def of(cls, sample: Sample) -> Self:
        """The example that a sample makes: all its entities, as a model is shown them."""
        entities = answer.order(sample.entities, sample.labels)
        mentions = tuple(Mention(e.label, segments.shown(e.text)) for e in entities)
        return cls(segments.shown(sample.text), mentions)


@dataclass(frozen=True, slots=True)
class _Wording:
    """What a template says in one language."""

    instructions: Mapping[Kind, str]
    answer_prefix: str
    description: str  # of one label; empty where no instruction asks for descriptions
    example: str  # one example; empty where no instruction asks for examples


@dataclass(frozen=True, slots=True)
class Template:
    """The fixed words of prompts in some languages; `sha256` is over all of them, all tasks'."""

    id: str
    sha256: str
    labels_joiner: str
    descriptions_joiner: str
    _wordings: Mapping[str, _Wording] = field(repr=False, compare=False)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that have at least a zero-shot prompt."""
        return tuple(self._wordings)

    def language_for(self, language: str, kind: Kind) -> tuple[str, Fault | None]:
        """The language of the prompt when `language` is asked for, and a fault where it is another.

        A region is passed over: `zh-TW` and `zh_CN` are `zh`.
        """
        code = re.split("[-_]", language.strip().lower(), maxsplit=1)[0]
        if code in self._wordings and kind in self._wordings[code].instructions:
            return code, None
        message = (
            f"template {self.id!r} has no {kind} prompt in {language!r}; it was asked in English"
        )
        return FALLBACK, Fault(FaultKind.LANGUAGE, message, "template")

    def render(
        self,
        labels: Sequence[str],
        text: str,
        *,
        language: str,
        descriptions: Mapping[str, str] | None = None,
        examples: Sequence[Example] = (),
    ) -> Prompt:
        """The prompt that asks for the labels, in their order, in a text.

        Descriptions of labels that are not asked for are passed over, and so are all of them where
        there are examples (`Kind.of`). A label that has none stands in the label set alone; unlike
        the published loader, we also describe labels that end in a digit. Examples are shown in
        their order, with all their mentions. `language_for` says which language the prompt is in.
        """
        described = {
            label: descriptions[label]
            for label in labels
            if descriptions and descriptions.get(label, "").strip()
        }
        kind = Kind.of(described, examples)
        wording = self._wordings[self.language_for(language, kind)[0]]
        before, _, after = wording.instructions[kind].partition(" {text}")
        head = _fill(
            before,
            {
                "{labels_str}": self.labels_joiner.join(labels),
                "{label_descriptions_str}": self.descriptions_joiner.join(
                    _fill(wording.description, {"{label}": label, "{description}": description})
                    for label, description in described.items()
                ),
                "@@examples@@": "".join(
                    _fill(wording.example, {"{text}": e.text, "{answer}": answer.write(e.mentions)})
                    for e in examples
                ),
            },
        )
        return Prompt(head, f" {text}{after}{wording.answer_prefix}")


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
        labels_joiner=layout["labels_joiner"],
        descriptions_joiner=layout["descriptions_joiner"],
        _wordings={
            language: _Wording(
                {Kind(i["instruction_type"]): i["instruction"] for i in tasks[_TASK]},
                answer_prefix=layout["languages"][language]["answer_prefix"],
                description=layout["languages"][language].get("description", ""),
                example=layout["languages"][language].get("example", ""),
            )
            for language, tasks in instructions.items()
        },
    )


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
