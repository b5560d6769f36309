"""More wordings of a template's prompts, from a file, so that training is not tied to one.

The file has the published form::

    {"en": {"NER": [{"instruction_type": "zero-shot", "instruction": "... Text: {text} \\n"}]}}

What it adds is asked in training only; a model is asked with the template's own words, which stay
the first of their kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from b2ner.errors import DataError
from b2ner.files import read_json
from b2ner.prompting.template import Kind, Template
from b2ner.records import Task

_SLOT = re.compile(r"\{\w+\}|@@examples@@")


class _Instruction(BaseModel):
    instruction_type: Kind
    instruction: str


_FILE = TypeAdapter(dict[str, dict[Task, list[_Instruction]]])


def with_wordings(template: Template, path: Path) -> Template:
    """The template with the instructions of a file beside its own.

    Raises DataError that names every fault: a language, task or kind that the template has no
    prompt for, and slots that are not those of the template's prompt.
    """
    try:
        content = _FILE.validate_python(read_json(path))
    except ValidationError as problem:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}"
            for fault in problem.errors(include_url=False)
        ]
        raise DataError(f"{path}: {'; '.join(faults)}") from problem
    more: dict[str, dict[tuple[Task, Kind], list[str]]] = {}
    faults = []
    for language, task, added in _instructions(content):
        kind = added.instruction_type
        own = template.instructions(language, kind, task)
        place = f"{language}, {task}, {kind}"
        if not own:
            faults.append(f"{place}: template {template.id!r} has no such prompt")
        elif wrong := _wrong(added.instruction, own[0]):
            faults.append(f"{place}: {wrong}")
        else:
            more.setdefault(language, {}).setdefault((task, kind), []).append(added.instruction)
    if faults:
        raise DataError(f"{path}: {'; '.join(faults)}")
    return template.with_instructions(more)


def _instructions(
    content: dict[str, dict[Task, list[_Instruction]]],
) -> Iterator[tuple[str, Task, _Instruction]]:
    for language, by_task in content.items():
        for task, instructions in by_task.items():
            for instruction in instructions:
                yield language, task, instruction


def _wrong(added: str, own: str) -> str:
    """What keeps an instruction from standing for another, or nothing."""
    slots, needed = (sorted(_SLOT.findall(text)) for text in (added, own))
    if slots != needed:
        return f"its slots are {', '.join(slots) or 'none'}, and should be {', '.join(needed)}"
    _, text, after = added.partition(" {text}")
    if not text or _SLOT.search(after):
        return "{text} must be the last slot, with a blank before it"
    return ""
