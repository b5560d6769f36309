"""The loss of an encoder-decoder (T5 and its kin): prompts in the encoder, answers in the decoder.

Nothing is packed: a row is one text, and texts of like lengths stand in one step, so that little is
padding. Widths are multiples of a step, which keeps the number of shapes small (`batches` says why
that matters).

    encoder    head | body | end | padding
    decoder    start | answer without its end | padding
    targets    answer, its end included
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import torch
from torch import Tensor

from b2ner.errors import UnsupportedModel
from b2ner.model import tokens
from b2ner.model.output_head import OutputHead
from b2ner.training.batches import IGNORED, SCORED_STEP, Overlong, Row
from b2ner.training.examples import Bundle, Example
from b2ner.training.network import Learner, arithmetic, check_against
from b2ner.training.settings import Rows

PROMPT_STEP = 64  # the encoder's width is a multiple of it
ANSWER_STEP = 32  # the decoder's width is a multiple of it
POOL = 16  # steps whose texts are sorted by length together


def rows_of_texts(bundles: Iterable[Bundle], rows: Rows) -> Iterator[Row | Overlong]:
    """One row a text, neighbours of like lengths; a prompt that is too long is said, not cut.

    The texts of some steps are sorted and cut into steps, whose order is drawn at random. The same
    bundles give the same rows.
    """
    texts = _texts(bundles)
    per_step = rows.samples_per_step or rows.per_step
    number, before = 0, 0.0
    while pool := list(islice(texts, POOL * per_step)):
        for row in pool:
            if _prompt(row) > rows.places:
                yield Overlong(_example(row).sample, _prompt(row), len(row.bundles[0].head))
        kept = [row for row in pool if _prompt(row) <= rows.places]
        kept.sort(key=lambda row: (_prompt(row), len(_example(row).answer)))
        steps = [kept[i : i + per_step] for i in range(0, len(kept), per_step)]
        random.Random(f"pool:{number}").shuffle(steps)
        share = (pool[-1].progress - before) / max(len(kept), 1)
        for place, row in enumerate((row for step in steps for row in step), start=1):
            last = place == len(kept)
            yield replace(row, progress=pool[-1].progress if last else before + share * place)
        number, before = number + 1, pool[-1].progress


def _texts(bundles: Iterable[Bundle]) -> Iterator[Row]:
    """Each text in a row of its own, behind a copy of its head."""
    before = 0.0
    for bundle in bundles:
        for place, example in enumerate(bundle.examples, start=1):
            share = (bundle.progress - before) * place / len(bundle.examples)
            last = place == len(bundle.examples)
            progress = bundle.progress if last else before + share
            yield Row((replace(bundle, examples=(example,)),), progress)
        before = bundle.progress


def _example(row: Row) -> Example:
    return row.bundles[0].examples[0]


def _prompt(row: Row) -> int:
    """The length of a row's prompt, its end included."""
    return len(row.bundles[0].head) + len(_example(row).body) + 1


@dataclass(frozen=True)
class Pairs:
    """Texts and their answers as tensors. Scored places are counted through all answers.

    Where `candidates` is not None, `targets` are places in it, else token ids.
    """

    prompts: Tensor  # int64[texts, prompt places]
    seen: Tensor  # int64[texts, prompt places], 0 for padding
    answers: Tensor  # int64[texts, answer places], what the decoder is shown
    scored: Tensor  # int64[targets], index into texts x answer places
    targets: Tensor  # int64[targets], IGNORED where the place only fills up
    candidates: Tensor | None  # int64[candidates], token ids without repeats

    def to(self, device: torch.device) -> Pairs:
        """The same with its tensors on a device."""
        names = ("prompts", "seen", "answers", "scored", "targets")
        moved = {name: getattr(self, name).to(device, non_blocking=True) for name in names}
        candidates = None if self.candidates is None else self.candidates.to(device)
        return replace(self, **moved, candidates=candidates)


def collate_pairs(
    rows: Sequence[Row | None],
    *,
    start: int,
    end: int,
    pad: int,
    candidates: Sequence[int] | None = None,
) -> Pairs:
    """The rows as one batch; None is a row of padding. Candidates must hold every target.

    `start` is what the decoder begins with, `end` what a prompt ends with.
    """
    prompts: list[Sequence[int]] = []
    answers: list[Sequence[int]] = []
    for row in rows:
        if row is None:
            prompts.append((end,))  # one place, so that no row of the softmax is empty
            answers.append(())
        else:
            prompts.append((*row.bundles[0].head, *_example(row).body, end))
            answers.append(_example(row).answer)
    width = _width(answers, ANSWER_STEP)
    shown = [(start, *answer[:-1]) for answer in answers]
    scored = [n * width + place for n, answer in enumerate(answers) for place in range(len(answer))]
    targets = [token for answer in answers for token in answer]
    padding = -len(targets) % SCORED_STEP or (SCORED_STEP if not targets else 0)
    if candidates is not None:
        index = {token: place for place, token in enumerate(candidates)}
        targets = [index[token] for token in targets]
    long = _width(prompts, PROMPT_STEP)
    return Pairs(
        _padded(prompts, long, pad),
        _padded([[1] * len(prompt) for prompt in prompts], long, 0),
        _padded(shown, width, pad),
        torch.tensor(scored + [0] * padding, dtype=torch.int64),
        torch.tensor(targets + [IGNORED] * padding, dtype=torch.int64),
        None if candidates is None else torch.tensor(candidates, dtype=torch.int64),
    )


def _width(lines: Sequence[Sequence[int]], step: int) -> int:
    return max(-(-max(map(len, lines)) // step), 1) * step


def _padded(lines: Sequence[Sequence[int]], width: int, filler: int) -> Tensor:
    return torch.tensor([[*line, *[filler] * (width - len(line))] for line in lines])


class PairScorer(torch.nn.Module):
    """Maps a batch to the sum of the losses of its answer tokens: what is differentiated."""

    def __init__(self, learner: Learner) -> None:
        """Raises UnsupportedModel for a network whose answers begin in a way of their own."""
        super().__init__()
        self.network = learner.network  # so that its weights are this module's
        self._learner = learner
        self._head = OutputHead(learner.plain)
        config = learner.plain.config
        name = type(learner.plain).__name__
        if config.decoder_start_token_id is None:
            raise UnsupportedModel(f"{name} does not say what its answers start with")
        if getattr(learner.plain.generation_config, "forced_bos_token_id", None) is not None:
            raise UnsupportedModel(
                f"{name} forces a token of its own upon answers (forced_bos_token_id), which it "
                "would not be trained with"
            )
        self._start = int(config.decoder_start_token_id)
        self._end = tokens.eos_ids(learner.tokenizer)[0]
        self._pad = learner.tokenizer.pad_token_id or 0
        # T5 with tied ends, and only that, shrinks what its output head is shown.
        scaled = getattr(config, "scale_decoder_outputs", False)
        self._scale = config.d_model**-0.5 if scaled else 1.0
        self._limit: int | None = getattr(config, "max_position_embeddings", None)

    @property
    def vocabulary(self) -> int:
        return self._head.vocabulary

    def rows(self, bundles: Iterable[Bundle], rows: Rows) -> Iterator[Row | Overlong]:
        """The texts of an epoch; see `rows_of_texts`. Raises UnsupportedModel for too long rows."""
        if self._limit is not None and rows.places > self._limit:
            raise UnsupportedModel(
                f"rows.places ({rows.places}) is more than the {self._limit} places that "
                f"{type(self._learner.plain).__name__} has"
            )
        return rows_of_texts(bundles, rows)

    def inputs(
        self, rows: Sequence[Row | None], settings: Rows, candidates: Sequence[int] | None
    ) -> tuple[Pairs]:
        """What `forward` takes, on the device."""
        pairs = collate_pairs(
            rows, start=self._start, end=self._end, pad=self._pad, candidates=candidates
        )
        return (pairs.to(self._learner.device),)

    def forward(self, pairs: Pairs) -> Tensor:
        """The summed cross-entropy, in fp32; exact where the batch has no candidates."""
        return torch.nn.functional.cross_entropy(
            self.logits(pairs), pairs.targets, ignore_index=IGNORED, reduction="sum"
        )

    def logits(self, pairs: Pairs) -> Tensor:
        """Of each scored place, over the candidates. *Shape:* fp32 `[targets, candidates]`."""
        plain = self._learner.plain
        with arithmetic(self._learner):
            read = plain.get_encoder()(input_ids=pairs.prompts, attention_mask=pairs.seen)
            said = plain.get_decoder()(
                input_ids=pairs.answers,
                encoder_hidden_states=read.last_hidden_state,
                encoder_attention_mask=pairs.seen,
                use_cache=False,
            )
            chosen = said.last_hidden_state.flatten(0, 1)[pairs.scored]
            return self._head.logits(chosen * self._scale, pairs.candidates)

    def compile_layers(self) -> None:
        """Raises UnsupportedModel: the shapes of these batches vary."""
        raise UnsupportedModel("compile_layers is for decoders; leave it out for encoder-decoders")

    def check(self) -> None:
        """Compare a batch with the network's own plain passes on a few tokens.

        Raises UnsupportedModel when they differ: a network that does more to its answers than a
        decoder and an output head.
        """
        learner = self._learner
        generator = torch.Generator().manual_seed(0)

        def some(count: int) -> tuple[int, ...]:
            drawn = torch.randint(3, self.vocabulary, (count,), generator=generator)
            return tuple(drawn.tolist())

        examples = [Example(n, some(5 + 9 * n), some(3 + n)) for n in range(2)]
        rows = [Row((Bundle((), (example,), 0.0),), 0.0) for example in examples]

        def alone() -> Tensor:
            parts = []
            for example in examples:
                prompt = torch.tensor([[*example.body, self._end]], device=learner.device)
                answer = torch.tensor([[self._start, *example.answer[:-1]]], device=learner.device)
                parts.append(learner.plain(input_ids=prompt, decoder_input_ids=answer).logits[0])
            return torch.cat(parts)

        def together() -> Tensor:
            return self.logits(*self.inputs(rows, Rows(), None))[: sum(map(_answered, examples))]

        check_against(learner, alone, together)


def _answered(example: Example) -> int:
    return len(example.answer)
