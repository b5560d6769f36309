"""The loss of a decoder on packed rows: many texts behind shared prompt heads in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from b2ner.errors import UnsupportedModel
from b2ner.model.output_head import OutputHead
from b2ner.training.attention import ATTENTION, Masks, hidden_states, masks, windows
from b2ner.training.batches import IGNORED, Batch, Overlong, Row, collate, pack
from b2ner.training.examples import Bundle, Example
from b2ner.training.network import Learner, arithmetic, check_against
from b2ner.training.settings import Rows


class PackedScorer(torch.nn.Module):
    """Maps a batch to the sum of the losses of its answer tokens: what is differentiated."""

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self.network = learner.network  # so that its weights are this module's
        self._learner = learner
        self._head = OutputHead(learner.plain)
        self._windows = windows(learner.plain.config.get_text_config())

    @property
    def vocabulary(self) -> int:
        return self._head.vocabulary

    def rows(self, bundles: Iterable[Bundle], rows: Rows) -> Iterator[Row | Overlong]:
        """The texts of an epoch in packed rows; see `batches.pack`."""
        return pack(bundles, rows.places)

    def inputs(
        self, rows: Sequence[Row | None], settings: Rows, candidates: Sequence[int] | None
    ) -> tuple[Batch, Masks]:
        """What `forward` takes, on the device."""
        batch = collate(rows, settings.places, candidates).to(self._learner.device)
        return batch, self.masks(batch)

    def masks(self, batch: Batch) -> Masks:
        """What `forward` must be told of each place's sight."""
        return masks(batch, self._windows, self._learner.compute)

    def forward(self, batch: Batch, packed_masks: Masks) -> Tensor:
        """The summed cross-entropy, in fp32; exact where the batch has no candidates."""
        return torch.nn.functional.cross_entropy(
            self.logits(batch, packed_masks), batch.targets, ignore_index=IGNORED, reduction="sum"
        )

    def logits(self, batch: Batch, packed_masks: Masks) -> Tensor:
        """Of each scored place, over the candidates. *Shape:* fp32 `[answers, candidates]`."""
        with arithmetic(self._learner):
            hidden = hidden_states(self._learner.decoder, batch, packed_masks)
            return self._head.logits(hidden.flatten(0, 1)[batch.scored], batch.candidates)

    def compile_layers(self) -> None:
        """Have torch compile each layer for the one shape of batch that training uses."""
        for layer in self._learner.decoder.layers:
            layer.compile(dynamic=False)

    def check(self) -> None:
        """Compare a packed row with the network's own plain passes on a few tokens.

        Raises UnsupportedModel when they differ: a network whose layers look at more than positions
        and what attention gives them.
        """
        learner = self._learner
        generator = torch.Generator().manual_seed(0)

        def some(count: int) -> tuple[int, ...]:
            drawn = torch.randint(3, self.vocabulary, (count,), generator=generator)
            return tuple(drawn.tolist())

        head = some(9)
        examples = tuple(Example(n, some(5 + n), some(4)) for n in range(2))
        row = Row((Bundle(head, examples, 0.0),), 0.0)

        def alone() -> Tensor:
            learner.plain.set_attn_implementation("eager")
            try:
                parts = []
                for example in examples:
                    ids = [[*head, *example.body, *example.answer[:-1]]]
                    logits = learner.plain(torch.tensor(ids, device=learner.device)).logits
                    parts.append(logits[0, -4:])
                return torch.cat(parts)
            finally:
                learner.plain.set_attn_implementation(ATTENTION)

        def packed() -> Tensor:
            return self.logits(*self.inputs([row], Rows(places=48), None))[:8]

        try:
            check_against(learner, alone, packed)
        except UnsupportedModel as fault:
            raise UnsupportedModel(f"texts cannot be packed into rows: {fault}") from fault
