"""The engine that runs a transformers decoder in this process; answers come from the text only.

What it does for speed, none of which may change an answer (`tests/inference/test_local.py`):

- the head of the prompt is computed once per label set and copied behind every text's row;
- texts enter a fixed number of rows as others leave them, longest first, and no padding is computed
  in the linear layers (`ragged`);
- where the grammar leaves one way on, its tokens are taken without a step and are fed together with
  the next real one;
- the output head, the largest matrix of a small network, is computed for the allowed tokens only.

The head and the log-softmax run in fp32: in bf16 logits near 20 come in steps of 0.125, so ties
would be common.
"""

from __future__ import annotations

import inspect
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import Any

import torch
from torch import Tensor

from b2ner.errors import B2nerError, EngineError, LabelError, UnsupportedModel
from b2ner.inference.constraint import ConstrainedAnswer, TokenGrammar
from b2ner.inference.engine import Capabilities, Completion, Finish, Piece, Request, leading_within
from b2ner.inference.ragged import ATTENTION, KeyValueStore, Step, forward
from b2ner.model.output_head import OutputHead
from b2ner.model.tokens import bos_ids, encode, eos_ids
from b2ner.model.weights import LoadedModel
from b2ner.prompting.template import Prompt
from b2ner.records import Usage

CONTEXT = 4096  # longest prompt and answer together, unless the network's own limit is lower
ANSWER_SHARE = 4  # a quarter of the context is kept for the answer
ROWS = 32
WINDOW = 256  # requests that are sorted by length together
STEP_TOKENS = 1024  # tokens of one pass through the network while prompts are read
HEADS_KEPT = 8


@dataclass
class _Row:
    """One request in work. Its keys and values stand in the store's row of the same number."""

    index: int  # of the request in its window
    request: Request
    head: tuple[int, ...]
    pending: list[int]  # tokens that the network has not seen
    position: int  # of the first pending token
    prompt_tokens: int
    limit: int  # answer tokens
    constraint: ConstrainedAnswer | None
    answer: list[int] = field(default_factory=list)
    pieces: list[tuple[int, int, float]] = field(default_factory=list)  # in bytes of the answer
    written: int = 0  # bytes
    steps: int = 0
    error: str = ""  # why this row alone is given up


class LocalEngine:
    """Batched greedy decoding on PyTorch. Calls from several threads take turns."""

    def __init__(
        self,
        model: LoadedModel,
        *,
        rows: int = ROWS,
        context: int = CONTEXT,
        window: int = WINDOW,
        step_tokens: int = STEP_TOKENS,
    ) -> None:
        """`rows`: texts in work at once. Raises UnsupportedModel for a network it cannot run."""
        network = model.network
        if model.encoder_decoder:
            raise UnsupportedModel("the local engine runs decoders; this is an encoder-decoder")
        if not getattr(type(network), "_supports_attention_backend", False):
            raise UnsupportedModel(
                f"{type(network).__name__} does not take its attention from transformers' common "
                "interface, so answers could not be kept right; use a decoder with a standard "
                "key-value cache (Llama, Mistral, Qwen, Gemma ...)"
            )
        self._model = model
        self._tokenizer = model.tokenizer
        self._decoder = network.get_decoder()
        self._device = torch.device(model.device)
        self._output = OutputHead(network)
        self._begin = tuple(bos_ids(model.tokenizer))
        ends = eos_ids(model.tokenizer, network)
        self._end = frozenset(ends)
        self._grammar = TokenGrammar(model.tokenizer, self._output.vocabulary, ends)
        self._joint = model.card is None or model.card.tokenisation == "joint"
        limit = getattr(network.config.get_text_config(), "max_position_embeddings", None)
        self._context = min(context, limit or context)
        self._rows = rows
        self._window = window
        self._step_tokens = step_tokens
        self._store = KeyValueStore(rows, slots=256)
        self._heads: OrderedDict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = OrderedDict()
        self._last_head: tuple[str, tuple[int, ...]] = ("", self._begin)
        self._lock = threading.Lock()
        self._check(network)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(grammar=True, scores=True, prefix_cache=True)

    def fit(self, prompt: Prompt, text: str) -> int:
        """How many leading code points of `text` fit behind the prompt's head; see `Engine.fit`."""
        frame = len(self._encoded_head(prompt.head))
        frame += len(encode(self._tokenizer, prompt.body)) + 8  # what text and cue may merge into
        room = self._context - self._context // ANSWER_SHARE - frame
        if room < 1:
            raise LabelError(
                f"the prompt's head takes {frame} tokens and the context has {self._context}, of "
                f"which {self._context // ANSWER_SHARE} are kept for the answer: ask for fewer "
                "labels at once"
            )
        return leading_within(text, room, lambda part: len(encode(self._tokenizer, part)))

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """One completion a request, in order; windows of requests are worked on together."""
        source = iter(requests)
        while window := list(islice(source, self._window)):
            with self._lock, torch.inference_mode():
                try:
                    done = self._run(window)
                except B2nerError:
                    raise
                except RuntimeError as fault:  # out of memory and the like
                    self._store = KeyValueStore(self._rows, slots=256)
                    raise EngineError(f"the network failed: {fault}") from fault
            yield from done

    # -- one window of requests ----------------------------------------------------------------

    def _run(self, window: Sequence[Request]) -> list[Completion]:
        done: list[Completion | None] = [None] * len(window)
        waiting: list[_Row] = []
        for index, request in enumerate(window):
            try:
                waiting.append(self._prepare(index, request))
            except B2nerError as fault:
                done[index] = Completion("", Finish.ERROR, error=str(fault))
        # The shortest stand at the end of the list and are taken last.
        waiting.sort(key=lambda row: row.prompt_tokens)
        active: list[_Row] = []
        while waiting or active:
            free = self._rows - len(active)
            if waiting and (not active or free >= max(1, self._rows // 4)):
                entering = [waiting.pop() for _ in range(min(free, len(waiting)))]
                hidden = self._read_prompts(entering, first_row=len(active))
                begun = len(active)
                active += entering
                self._choose(active[begun:], hidden)
            else:
                hidden = self._pass(active, first_row=0)
                self._choose(active, hidden)
            active = self._leave(active, done)
        return [completion for completion in done if completion is not None]

    def _prepare(self, index: int, request: Request) -> _Row:
        head, body = self._tokenise(request.prompt)
        tokens = len(head) + len(body)
        limit = min(request.max_answer_tokens, self._context - tokens)
        if limit < 1:
            raise EngineError(
                f"a prompt of {tokens} tokens does not fit a context of {self._context}"
            )
        constraint = None if request.space is None else self._grammar.answer(request.space)
        row = _Row(index, request, head, list(body), len(head), tokens, limit, constraint)
        if constraint is not None:
            self._add(row, constraint.forced(), None)
        return row

    def _encoded_head(self, head: str) -> tuple[int, ...]:
        """A head's ids, kept for the next text that is asked for the same labels."""
        last = self._last_head  # read once: threads may be preparing texts at the same time
        if last[0] != head:
            last = self._last_head = head, self._begin + tuple(encode(self._tokenizer, head))
        return last[1]

    def _tokenise(self, prompt: Prompt) -> tuple[tuple[int, ...], list[int]]:
        head = self._encoded_head(prompt.head)
        if not self._joint:
            return head, encode(self._tokenizer, prompt.body)
        whole = [*self._begin, *encode(self._tokenizer, prompt.head + prompt.body)]
        shared = next(
            (i for i, (a, b) in enumerate(zip(head, whole, strict=False)) if a != b), len(head)
        )
        return head[:shared], whole[shared:]

    def _read_prompts(self, entering: Sequence[_Row], first_row: int) -> Tensor:
        """Fill the rows from `first_row` on; the last hidden state of each, `[rows, width]`."""
        for head in {row.head for row in entering}:
            self._read_head(head, first_row)
        self._store.reserve(max(row.prompt_tokens for row in entering) + 64)
        for number, row in enumerate(entering, start=first_row):
            self._store.place(number, self._heads[row.head])
        hidden: list[Tensor] = []
        begin = 0
        while begin < len(entering):  # as many rows at a time as the step's budget of tokens holds
            end, tokens = begin + 1, len(entering[begin].pending)
            while end < len(entering) and tokens + len(entering[end].pending) <= self._step_tokens:
                tokens += len(entering[end].pending)
                end += 1
            hidden.append(self._pass(entering[begin:end], first_row + begin))
            begin = end
        return torch.cat(hidden)

    def _read_head(self, head: tuple[int, ...], spare_row: int) -> None:
        """See that a prompt head's keys and values are kept; a row that is about to be filled lends
        its place."""
        if head in self._heads:
            self._heads.move_to_end(head)
            return
        for start in range(0, len(head), self._step_tokens):
            part = head[start : start + self._step_tokens]
            step = Step(self._store, spare_row, [start], [len(part)], self._device)
            forward(self._decoder, part, step)
        self._heads[head] = self._store.read(spare_row, len(head))
        while len(self._heads) > HEADS_KEPT + self._rows:
            self._heads.popitem(last=False)

    def _pass(self, rows: Sequence[_Row], first_row: int) -> Tensor:
        """Show the network the pending tokens of neighbouring rows; their last hidden states."""
        hidden = torch.empty(0)
        while True:
            counts = [min(len(row.pending), self._step_tokens) for row in rows]
            tokens = [
                token for row, n in zip(rows, counts, strict=True) for token in row.pending[:n]
            ]
            step = Step(
                self._store, first_row, [row.position for row in rows], counts, self._device
            )
            hidden = forward(self._decoder, tokens, step)[step.last]
            for row, count in zip(rows, counts, strict=True):
                row.position += count
                row.steps += 1
                del row.pending[:count]
            # Only a row that is read alone can be longer than a step.
            if not any(row.pending for row in rows):
                return hidden

    def _choose(self, rows: Sequence[_Row], hidden: Tensor) -> None:
        """Take the best allowed token of each row, and what it forces."""
        bound = [number for number, row in enumerate(rows) if row.constraint is not None]
        constraints = [c for row in rows if (c := row.constraint) is not None]
        if bound:
            allowed = self._grammar.fill(constraints)
            of_bound = hidden[bound] if len(bound) < len(rows) else hidden
            scores = _among_allowed(self._output, of_bound, allowed)
            for number, ids, logprobs in zip(bound, allowed, scores, strict=True):
                try:
                    self._take_allowed(rows[number], ids.tolist(), logprobs)
                except EngineError as fault:  # of this row's grammar; the others go on
                    rows[number].error = str(fault)
        free = [number for number, row in enumerate(rows) if row.constraint is None]
        if free:
            best, tokens = self._output.logits(hidden[free]).log_softmax(-1).max(-1)
            for number, token, logprob in zip(free, tokens.tolist(), best.tolist(), strict=True):
                self._add(rows[number], [token], logprob)

    def _take_allowed(self, row: _Row, ids: list[int], logprobs: list[float]) -> None:
        assert row.constraint is not None
        if not ids:
            raise EngineError(f"no token may follow {row.constraint.progress.written!r}")
        best = max(range(len(ids)), key=logprobs.__getitem__)
        token, logprob = ids[best], logprobs[best]
        closes = self._grammar.closes
        if len(ids) > 1 and closes(token) and any(i in self._end for i in ids):
            # The item may end here. That it ends, and what comes then, are two decisions.
            ending = [value for i, value in zip(ids, logprobs, strict=True) if closes(i)]
            ended = float(torch.logsumexp(torch.tensor(ending, dtype=torch.float64), 0))
            row.pieces.append((row.written, row.written, ended))
            logprob -= ended
        if token not in self._end:
            row.constraint.take(token)
        self._add(row, [token], logprob if len(ids) > 1 else None)
        if token not in self._end:
            self._add(row, row.constraint.forced(), None)

    def _add(self, row: _Row, tokens: Sequence[int], logprob: float | None) -> None:
        for token in tokens:
            row.answer.append(token)
            row.pending.append(token)
            size = 0 if token in self._end else len(self._grammar.bytes_of(token))
            if logprob is not None:
                row.pieces.append((row.written, row.written + size, logprob))
            row.written += size

    def _leave(self, active: list[_Row], done: list[Completion | None]) -> list[_Row]:
        """Hand out what is finished; the last rows move into the places that fall free."""
        staying = list(active)
        for number in reversed(range(len(staying))):
            row = staying[number]
            if row.error:
                done[row.index] = Completion("", Finish.ERROR, error=row.error)
            elif row.answer[-1:] and row.answer[-1] in self._end:
                done[row.index] = self._completion(row, Finish.STOP)
            elif len(row.answer) >= row.limit:
                done[row.index] = self._completion(row, Finish.LENGTH)
            else:
                continue
            last = staying.pop()
            if last is not row:
                self._store.move(len(staying), number, last.position)
                staying[number] = last
        return staying

    def _completion(self, row: _Row, finish: Finish) -> Completion:
        tokens = [token for token in row.answer if token not in self._end]
        written = b"".join(self._grammar.bytes_of(token) for token in tokens)
        answer = written.decode(errors="replace")
        # Pieces are kept in bytes, since a token may end inside a character.
        characters = [0, *accumulate(byte & 0xC0 != 0x80 for byte in written)]
        pieces = [
            Piece(characters[a], characters[b], min(value, 0.0)) for a, b, value in row.pieces
        ]
        usage = Usage(row.prompt_tokens, len(row.answer), row.steps)
        return Completion(answer, finish, tuple(pieces), usage)

    # -- is this network one that we run right? ------------------------------------------------

    def _check(self, network: Any) -> None:
        """Compare a ragged, cached run with the network's own plain one on a few tokens.

        Raises UnsupportedModel when they differ: a network with another kind of memory than keys
        and values, or with an output head of its own making.
        """
        generator = torch.Generator().manual_seed(0)
        lengths = (11, 7)
        rows = [
            torch.randint(3, self._output.vocabulary, (n,), generator=generator).tolist()
            for n in lengths
        ]
        with torch.inference_mode():
            network.set_attn_implementation("eager")
            last = {"logits_to_keep": 1} if _keeps_logits(network) else {}
            expected = [
                network(input_ids=torch.tensor([row], device=self._device), **last)
                .logits[0, -1]
                .float()
                for row in rows
            ]
            network.set_attn_implementation(ATTENTION)
            try:
                store = KeyValueStore(2, 16)
                first = [row[:-2] for row in rows]
                step = Step(store, 0, [0, 0], [len(row) for row in first], self._device)
                forward(self._decoder, [token for row in first for token in row], step)
                step = Step(store, 0, [len(row) for row in first], [2, 2], self._device)
                rest = [token for row in rows for token in row[-2:]]
                hidden = forward(self._decoder, rest, step)[step.last]
            except (TypeError, AttributeError, KeyError, ValueError, RuntimeError) as fault:
                raise UnsupportedModel(
                    f"{type(network).__name__} cannot be run with a ragged key-value cache: {fault}"
                ) from fault
            got = self._output.logits(hidden)
        # bf16 keeps 8 bits; through many layers that makes some percent. A wrong run is far off.
        tolerance = 1e-3 if network.dtype == torch.float32 else 0.2
        for ours, theirs in zip(got, expected, strict=True):
            wanted = theirs.log_softmax(-1)
            gap = float((ours.log_softmax(-1) - wanted).square().mean().sqrt())
            if not gap <= tolerance * float(wanted.std()):
                raise UnsupportedModel(
                    f"{type(network).__name__} does not compute the same with our key-value cache "
                    f"as alone (log-probabilities differ by {gap:.3g} on average), so its answers "
                    "could not be trusted"
                )


def _keeps_logits(network: Any) -> bool:
    """Whether a network can be asked for the last logits only; nearly all can, and it is faster."""
    return "logits_to_keep" in inspect.signature(network.forward).parameters


def _among_allowed(output: OutputHead, hidden: Tensor, allowed: Sequence[Any]) -> list[list[float]]:
    """Log-probabilities of each row's allowed ids among themselves; hidden `[rows, width]`."""
    sizes = [len(ids) for ids in allowed]
    ids = torch.cat([torch.from_numpy(row) for row in allowed]).to(hidden.device)
    owners = torch.repeat_interleave(torch.tensor(sizes)).to(hidden.device)
    logits = output.pairs(hidden, owners, ids).cpu()
    return [part.log_softmax(0).tolist() for part in torch.split(logits, sizes)]
