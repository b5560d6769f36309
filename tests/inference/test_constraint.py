"""The grammar against its plain definition: exactly the valid answers, and no dead end."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from b2ner import segments
from b2ner.inference.constraint import ConstrainedAnswer, TokenGrammar
from b2ner.prompting.answer import NONE
from b2ner.prompting.forms import LABEL_FIRST, MENTION_FIRST, AnswerForm
from b2ner.prompting.grammar import AnswerSpace
from b2ner.records import Mention
from tests.tiny import tiny_tokenizer


@cache
def byte_grammar() -> TokenGrammar:
    """A tokenizer whose tokens are the 256 bytes and an end: every decision is one byte."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: number for number, piece in enumerate([*alphabet, "<end>"])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>")
    return TokenGrammar(tokenizer, len(tokenizer), [tokenizer.eos_token_id])


@cache
def family_grammar(family: str) -> TokenGrammar:
    tokenizer: Any = tiny_tokenizer(family)
    return TokenGrammar(tokenizer, len(tokenizer), [tokenizer.eos_token_id])


def written_by_grammar(space: AnswerSpace, longest: int) -> set[str]:
    """All answers of so many bytes, by trying every allowed byte; there always is one."""
    grammar = byte_grammar()
    complete: set[str] = set()
    open_prefixes: list[list[int]] = [[]]
    while open_prefixes:
        prefix = open_prefixes.pop()
        state = grammar.answer(space)
        for token in prefix:
            state.take(token)
        (allowed,) = grammar.fill([state])
        assert len(allowed), f"a dead end behind {state.progress.written!r}"
        for token in allowed.tolist():
            if token in grammar.end_ids:
                complete.add(state.progress.written.decode())
            elif len(prefix) < longest:
                open_prefixes.append([*prefix, token])
    return complete


def written_by_definition(space: AnswerSpace, longest: int) -> set[str]:
    """All answers of so many bytes, from the words of the definition."""
    runs = {
        "".join(space.chunks[a:b])
        for a, b in itertools.combinations(range(len(space.chunks) + 1), 2)
        if not segments.is_space(space.chunks[a]) and not segments.is_space(space.chunks[b - 1])
    }
    items = [
        (label, run)
        for label in space.labels
        for run in sorted(runs)
        if not space.form.barred(label, space.labels).bars(run)
    ]
    found = {NONE}
    level: list[tuple[tuple[str, str], ...]] = [()]
    while level:
        longer = []
        for sequence in level:
            for item in items:
                grown = (*sequence, item)
                text = space.form.write([Mention(label, run) for label, run in grown])
                if len(text.encode()) <= longest and has_places(space, grown):
                    found.add(text)
                    longer.append(grown)
        level = longer
    return found


def has_places(space: AnswerSpace, items: Sequence[tuple[str, str]]) -> bool:
    """Whether each item can have a place that no equal one has.

    In an ordered form: places that go on, by start and then the longer first.
    """
    places = [
        [(span.start, -len(words)) for span in segments.occurrences(space.chunks, words)]
        for _, words in items
    ]
    return any(
        all(a < b for a, b in itertools.pairwise(chosen))
        if space.form.ordered
        else len(set(zip(items, chosen, strict=True))) == len(items)
        for chosen in itertools.product(*places)
    )


@pytest.mark.parametrize(
    ("labels", "text", "longest"),
    [
        pytest.param(("a",), "x y x", 22, id="a word before and behind another"),
        pytest.param(("a", "b"), "x y", 17, id="a mention and the beginning of it"),
        pytest.param(("a",), "x", 12, id="one word, used up at once"),
        pytest.param(("a", "b"), "x", 14, id="used up under one label, free under the other"),
        pytest.param(("a",), "x x", 24, id="a word twice"),
        pytest.param(("a", "b"), "x y", 9, id="two words and their blank"),
        pytest.param(("a",), "x; y", 14, id="a semicolon inside a mention"),
        pytest.param(("a", "y"), "x; y: z", 12, id="a text that spells a border"),
        pytest.param(("a", "a: b"), "b: x", 12, id="a label that begins like an item of another"),
        pytest.param(("a; b", "b"), "x", 16, id="a border inside a label"),
        pytest.param(("c", "b: c"), "x: b", 16, id="a label that ends like an item of another"),
        pytest.param(("a",), "x: a; y", 18, id="a text that spells an item"),
        pytest.param(("a", "a b"), "x;y", 15, id="a label that begins another"),
        pytest.param(("a",), " x\n", 9, id="white space around"),
        pytest.param(("a",), ";;", 12, id="nothing but semicolons"),
        pytest.param(("a",), "; ;", 12, id="semicolons apart"),
        pytest.param(("甲",), "乙;丙", 12, id="Chinese without blanks"),
        pytest.param(("a",), "x y z", 8, id="three words, short answers"),
        pytest.param(("a",), ": :", 11, id="colons"),
        pytest.param(("None",), "None", 14, id="the empty answer as label and word"),
        pytest.param(('"', "\\"), '"\\', 9, id="quotes and backslashes"),
        pytest.param(("a",), "é\U0001f600", 12, id="characters of several bytes"),
    ],
)
@pytest.mark.parametrize("form", [LABEL_FIRST, MENTION_FIRST], ids=lambda form: form.name)
def test_the_grammar_accepts_exactly_the_valid_answers(
    form: AnswerForm, labels: tuple[str, ...], text: str, longest: int
) -> None:
    if form is MENTION_FIRST and any(";" in label for label in labels):
        pytest.skip("no label holds a semicolon in this form")
    space = AnswerSpace(labels, segments.chunks(text), form)
    expected = written_by_definition(space, longest)
    assert written_by_grammar(space, longest) == expected
    assert all(space.accepts(answer) for answer in expected)


def walk(grammar: TokenGrammar, state: ConstrainedAnswer, rng: random.Random, most: int) -> bool:
    """Write at random for some tokens. True when the answer ended."""
    for _ in range(most):
        state.forced()
        (allowed,) = grammar.fill([state])
        assert len(allowed), f"a dead end behind {state.progress.written!r}"
        token = rng.choice(allowed.tolist())
        if token in grammar.end_ids:
            return True
        state.take(token)
    return False


TEXTS = (
    st.lists(
        st.sampled_from(
            [
                "x",
                "New York",
                "; ",
                ";",
                ": ",
                ":",
                " ",
                "a",
                "b: ",
                "星际",
                "é",
                "\n",
                "None",
                "; a: ",
            ]
        ),
        min_size=1,
        max_size=10,
    )
    .map("".join)
    .filter(lambda text: text.strip())
)
LABELS = st.lists(
    st.sampled_from(["a", "b", "a: b", "person", "movie title", "人名", "x -> y", "x; y", "None"]),
    min_size=1,
    max_size=4,
    unique=True,
).map(tuple)


@pytest.mark.parametrize("family", ["gemma", "llama2", "llama3", "qwen2", "mistral"])
@given(
    text=TEXTS,
    labels=LABELS,
    form=st.sampled_from([LABEL_FIRST, MENTION_FIRST]),
    seed=st.integers(0, 1 << 30),
)
@settings(max_examples=60, deadline=None)
def test_a_random_walk_never_gets_stuck_and_ends_in_a_valid_answer(
    family: str, text: str, labels: tuple[str, ...], form: AnswerForm, seed: int
) -> None:
    grammar = family_grammar(family)
    assume(form is LABEL_FIRST or not any(";" in label for label in labels))
    space = AnswerSpace(labels, segments.chunks(segments.shown(text)), form)
    state = grammar.answer(space)
    if walk(grammar, state, random.Random(seed), most=150):
        assert space.accepts(state.progress.written.decode())
