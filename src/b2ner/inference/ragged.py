"""Many sequences of different lengths through one transformers network, without padding tokens.

The tokens of all rows of a step are laid one after the other in a single sequence of N tokens, so
the linear layers, where nearly all the arithmetic is, see no padding. Only attention needs to
know which token belongs to which row: `attend` is registered with transformers as an attention
function, gets the current `Step` through the network's keyword arguments, writes the step's keys
and values into a `KeyValueStore` in which slot = position, and lets each token see the slots up
to its own.

Works for every decoder of transformers that takes its attention function from the common
interface and has a standard key-value cache; sliding windows and soft-capped scores included. The
idea of one ragged sequence over a slotted cache is that of Orca (Yu et al. 2022) and vLLM (Kwon
et al. 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface

ATTENTION = "b2ner_ragged"


class KeyValueStore:
    """Keys and values of `rows` sequences, each in slots 0, 1, 2 ... of its own row.

    Layers are laid out when they are first written, since only then their shape is known. Slots
    grow by halves. *Shape of a layer's keys or values:* `[rows, slots, heads, width]`.
    """

    def __init__(self, rows: int, slots: int) -> None:
        self.rows = rows
        self.slots = slots
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}

    def reserve(self, slots: int) -> None:
        """Make room for positions below `slots`."""
        if slots <= self.slots:
            return
        grown = max(slots, self.slots * 3 // 2)
        for index, pair in self._layers.items():
            keys, values = (
                torch.cat(
                    [old, old.new_zeros(self.rows, grown - self.slots, *old.shape[2:])], dim=1
                )
                for old in pair
            )
            self._layers[index] = (keys, values)
        self.slots = grown

    def write(self, layer: int, keys: Tensor, values: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """Store a step's keys and values; return those of its rows, up to the last slot in use.

        *Shape in:* `[1, heads, N, width]`; *out:* `[rows, used slots, heads, width]`.
        """
        if layer not in self._layers:
            # Zeros, not empty: what is masked out is multiplied by 0 and must be finite.
            self._layers[layer] = (
                keys.new_zeros(self.rows, self.slots, keys.shape[1], keys.shape[3]),
                values.new_zeros(self.rows, self.slots, values.shape[1], values.shape[3]),
            )
        stored = self._layers[layer]
        for kept, new in zip(stored, (keys, values), strict=True):
            kept.view(self.rows * self.slots, *kept.shape[2:]).index_copy_(
                0, step.flat_slots, new[0].transpose(0, 1)
            )
        first, last = step.first_row, step.first_row + len(step.counts)
        return stored[0][first:last, : step.used_slots], stored[1][first:last, : step.used_slots]

    def read(self, row: int, slots: int) -> list[tuple[Tensor, Tensor]]:
        """Copies of a row's first slots, layer by layer: a prompt head to be kept."""
        return [
            (keys[row, :slots].clone(), values[row, :slots].clone())
            for _, (keys, values) in sorted(self._layers.items())
        ]

    def place(self, row: int, kept: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Put what `read` returned at the beginning of a row."""
        for (_, (keys, values)), (old_keys, old_values) in zip(
            sorted(self._layers.items()), kept, strict=True
        ):
            keys[row, : len(old_keys)] = old_keys
            values[row, : len(old_values)] = old_values

    def move(self, source: int, target: int, slots: int) -> None:
        """Copy the first slots of one row over another."""
        for keys, values in self._layers.values():
            keys[target, :slots] = keys[source, :slots]
            values[target, :slots] = values[source, :slots]


@dataclass(eq=False)
class Step:
    """One pass through the network: for each row, how many tokens and from which position.

    The rows are neighbours in the store, from `first_row` on; the store is made to hold them.
    """

    store: KeyValueStore
    first_row: int
    starts: Sequence[int]  # a row's first new position
    counts: Sequence[int]  # how many tokens it gets, at least 1
    device: torch.device
    positions: Tensor = field(init=False)  # int64[N]
    flat_slots: Tensor = field(init=False)  # int64[N], index into rows x slots
    grid: Tensor = field(init=False)  # int64[rows, longest], index into N
    last: Tensor = field(init=False)  # int64[rows], index into N of each row's last token
    unpad: Tensor | None = field(init=False)  # int64[N], index into rows x longest
    used_slots: int = field(init=False)
    _masks: dict[tuple[int | None, int], Tensor] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        used = _steady(max(s + c for s, c in zip(self.starts, self.counts, strict=True)))
        self.store.reserve(used)
        longest = max(self.counts)
        positions: list[int] = []
        flat: list[int] = []
        grid: list[list[int]] = []
        for row, (start, count) in enumerate(zip(self.starts, self.counts, strict=True)):
            begin = (self.first_row + row) * self.store.slots
            # Shorter rows repeat their last token in the grid; what that gives is not read.
            grid.append([len(positions) + min(i, count - 1) for i in range(longest)])
            positions.extend(range(start, start + count))
            flat.extend(range(begin + start, begin + start + count))
        uniform = all(count == longest for count in self.counts)
        unpad = None if uniform else _unpadding(self.counts, longest, self.device)
        if len(positions) == 1:
            # One token alone takes another kernel (matrix times vector), which sums in another
            # order than that of batches: it goes twice.
            positions, flat = positions * 2, flat * 2
            unpad = torch.tensor([0, 0], device=self.device)
        self.positions = torch.tensor(positions, device=self.device)
        self.flat_slots = torch.tensor(flat, device=self.device)
        self.grid = torch.tensor(grid, device=self.device)
        self.last = torch.tensor(self.counts, device=self.device).cumsum(0) - 1
        self.unpad = unpad
        self.used_slots = used

    def mask(self, window: int | None, groups: int, dtype: torch.dtype) -> Tensor:
        """What each token may see, additive. *Shape:* `[rows, 1, groups * longest, used slots]`.

        A window of w lets a token see itself and the w - 1 before it.
        """
        key = (window, groups)
        if key not in self._masks:
            query = self.positions[self.grid][:, None, :, None]
            slot = torch.arange(self.used_slots, device=self.device)
            seen = slot <= query
            if window is not None:
                seen = seen & (slot > query - window)
            mask = torch.zeros(seen.shape, dtype=dtype, device=self.device)
            mask.masked_fill_(~seen, float("-inf"))
            self._masks[key] = mask.repeat(1, 1, groups, 1)
        return self._masks[key]


def _steady(slots: int) -> int:
    """So many slots or some more, in a number that does not change a row's result.

    In bf16 the attention kernel of a CPU sums in another order for some numbers of keys, and near
    ties would go another way beside a longer neighbour. At 64 + 128 n keys it was seen to give
    each row the same bits whatever the others are; 256, say, is not such a number.
    """
    return 64 + max(0, -(-(slots - 64) // 128)) * 128


def _unpadding(counts: Sequence[int], longest: int, device: torch.device) -> Tensor:
    return torch.tensor(
        [row * longest + i for row, count in enumerate(counts) for i in range(count)], device=device
    )


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    ragged: Step,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention of a ragged step: query `[1, heads, N, width]`, out `[1, N, heads, width]`."""
    layer: int = module.layer_idx  # type: ignore[assignment]
    keys, values = ragged.store.write(layer, key, value, ragged)
    heads, width = query.shape[1], query.shape[3]
    kv_heads = keys.shape[2]
    groups = heads // kv_heads
    rows, longest = ragged.grid.shape
    # Query heads that share a key head are folded into the query's time axis: no key is repeated.
    folded = (
        query[0]
        .transpose(0, 1)[ragged.grid]
        .view(rows, longest, kv_heads, groups, width)
        .permute(0, 2, 3, 1, 4)
        .reshape(rows, kv_heads, groups * longest, width)
    )
    keys, values = keys.transpose(1, 2), values.transpose(1, 2)
    mask = ragged.mask(sliding_window, groups, query.dtype)
    if softcap is None:
        out = torch.nn.functional.scaled_dot_product_attention(
            folded, keys, values, attn_mask=mask, scale=scaling
        )
    else:
        scale = width**-0.5 if scaling is None else scaling
        scores = folded @ keys.transpose(-1, -2) * scale
        scores = softcap * torch.tanh(scores / softcap) + mask
        out = scores.softmax(dim=-1, dtype=torch.float32).to(query.dtype) @ values
    out = (
        out.view(rows, kv_heads, groups, longest, values.shape[-1])
        .permute(0, 3, 1, 2, 4)
        .reshape(rows * longest, heads, values.shape[-1])
    )
    return (out if ragged.unpad is None else out[ragged.unpad])[None], None


def forward(decoder: torch.nn.Module, tokens: Sequence[int], step: Step) -> Tensor:
    """Run a step's tokens, row after row. Returns the last hidden states, `[N, width]`."""
    doubled = len(step.positions) - len(tokens)
    ids = torch.tensor([[*tokens, *tokens[:doubled]]], device=step.device)
    # A ready-made 4-D mask keeps transformers from building its own; `attend` does not read it.
    nothing = torch.zeros(1, 1, 1, 1, device=step.device)
    out = decoder(
        input_ids=ids,
        position_ids=step.positions[None],
        attention_mask=nothing,
        use_cache=False,
        ragged=step,
    )
    hidden: Tensor = out.last_hidden_state[0]
    return hidden


AttentionInterface.register(ATTENTION, attend)
