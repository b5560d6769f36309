"""More wordings of a template's prompts: they stand beside its own, and ask for the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from b2ner.errors import DataError
from b2ner.prompting.template import Kind, Variation, load_template
from b2ner.prompting.wordings import with_wordings

pytestmark = pytest.mark.torchfree

TEMPLATE = load_template("published")
MORE = {
    "en": {
        "NER": [
            {"instruction_type": "zero-shot", "instruction": "Find {labels_str} in: {text} \n"},
            {
                "instruction_type": "zero-shot",
                "instruction": TEMPLATE.instructions("en", Kind.ZERO_SHOT)[0],
            },
        ]
    },
    "de": {"NER": [{"instruction_type": "zero-shot", "instruction": "{labels_str}? {text}"}]},
}


def test_they_stand_behind_the_template_s_own(tmp_path: Path) -> None:
    path = tmp_path / "more.json"
    path.write_text(json.dumps(MORE))
    template = with_wordings(TEMPLATE, path)
    assert (template.id, template.sha256) == (TEMPLATE.id, TEMPLATE.sha256)
    assert template.wordings("en", Kind.ZERO_SHOT) == 2  # one that stands there already is passed
    assert template.wordings("de", Kind.ZERO_SHOT) == 2
    assert template.wordings("zh", Kind.ZERO_SHOT) == 1
    plain = template.render(["a"], "x", language="en")
    assert plain == TEMPLATE.render(["a"], "x", language="en")
    second = template.render(["a"], "x", language="en", variation=Variation(wording=1))
    assert second.head + second.body == "Find a in: x \nAnswer:"
    assert TEMPLATE.wordings("en", Kind.ZERO_SHOT) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[", "not JSON"),
        ('{"en": {"POS": []}}', "POS"),
        (
            '{"en": {"NER": [{"instruction_type": "one-shot", "instruction": ""}]}}',
            "instruction_type",
        ),
        (
            '{"fr": {"NER": [{"instruction_type": "zero-shot", "instruction": "{text}"}]}}',
            "fr, NER, zero-shot: template 'published' has no such prompt",
        ),
        (
            '{"en": {"NER": [{"instruction_type": "zero-shot", "instruction": " {text}"}]}}',
            "its slots are {text}, and should be {labels_str}, {text}",
        ),
        (
            '{"en": {"NER": [{"instruction_type": "zero-shot", "instruction": '
            '"Read {text}, find {labels_str}"}]}}',
            "{text} must be the last slot",
        ),
    ],
)
def test_wordings_that_cannot_stand_for_the_template_s(
    tmp_path: Path, content: str, said: str
) -> None:
    path = tmp_path / "more.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"more\.json") as raised:
        with_wordings(TEMPLATE, path)
    assert said in str(raised.value)
