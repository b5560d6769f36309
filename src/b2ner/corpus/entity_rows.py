"""Rows of entity sets that paths cannot describe: pydantic at the door, `Told` inside.

Named after the corpora that have them.
"""

from __future__ import annotations

import json
import re

from pydantic import BaseModel, Field

from b2ner.corpus.told import Told, ToldRow
from b2ner.records import Mention, Span


class _SgdSlot(BaseModel):
    slot: str
    start: int
    exclusive_end: int


class _SgdFrame(BaseModel):
    service: str
    slots: list[_SgdSlot]


class Sgd(ToldRow):
    """A turn of a dialogue; services are numbered by version, `Events_2`."""

    utterance: str
    frames: list[_SgdFrame]

    def told(self) -> Told:
        placed = []
        for frame in self.frames:
            service = frame.service.rpartition("_")[0] or frame.service
            for slot in frame.slots:
                span = Span(slot.start, slot.exclusive_end)
                span.of(self.utterance)
                placed.append((span, f"{service}.{slot.slot}"))
        return Told(self.utterance, placed)


class ScComics(ToldRow):
    text: str
    t_type_dict: dict[str, str]
    t_span_dict: dict[str, tuple[int, int]]

    def told(self) -> Told:
        placed = [(Span(*place), self.t_type_dict[key]) for key, place in self.t_span_dict.items()]
        for span, _ in placed:
            span.of(self.text)
        return Told(self.text, placed)


class NotAskedError(ValueError):
    """A row of another task than those that are read."""


class PromptCblue(ToldRow):
    """An instruction and a text in one string; only its two kinds of entity questions are read."""

    input: str
    target: str
    task_dataset: str

    def told(self) -> Told:
        if self.task_dataset not in ("CMeEE-V2", "IMCS-V2-NER"):
            raise NotAskedError(f"{self.task_dataset} asks for no entities")
        kept = [line for line in self.input.split("\n") if not _INSTRUCTION.search(line)]
        text = _LEAD.sub("", "\n".join(kept))
        asked: dict[str, list[str]] = {}
        for line in self.target.split("\n")[1:]:
            label, mark, words = line.partition("：")
            if mark:
                asked[label] = [word for word in words.split("，") if word]
        named = [Mention(label, word) for label, words in asked.items() for word in words]
        return Told(text, named=named, labels=tuple(asked))


_INSTRUCTION = re.compile(
    r"^答：?$|^(实体类型|实体选项|选项|问题)：|实体(是什么|是哪些|有哪些)？$|^[^。；]*：$"
)
_LEAD = re.compile(r"^[^：\n]*(?:抽取|识别|实体)：")


class _SentencesOf(BaseModel):
    word: list[list[str]]
    label: list[list[str]]


class Episode(BaseModel):
    types: list[str]
    support: _SentencesOf
    query: _SentencesOf


class OaMine(BaseModel):
    text: str = Field(validation_alias="input")
    category: str
    target_scores: dict[str, dict[str, int]]


class Message(ToldRow):
    content: str
    dialog_act: list[tuple[str, str, str, str]]  # intent, domain, slot, value

    def told(self) -> Told:
        """What is told stands in the message; what is asked for, yes, no and none do not."""
        named = [
            Mention(f"{domain}-{slot}", value)
            for intent, domain, slot, value in self.dialog_act
            if intent in ("Inform", "Recommend") and value not in ("", "是", "否", "无")
        ]
        return Told(self.content, named=named)


class Question(ToldRow):
    label: str = Field(validation_alias="tagName")
    text: str = Field(validation_alias="input")
    output: str

    def told(self) -> Told:
        found = json.loads(self.output)
        if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
            raise ValueError("the output is no JSON list of strings")
        named = [Mention(self.label, word.strip()) for word in found]
        return Told(self.text, named=named, labels=(self.label,))
