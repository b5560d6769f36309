"""The engine for encoder-decoder networks (T5 and its kin): plain greedy generation.

Their answers cannot be held to labels and text here, and carry no scores; the extractor says so in
each document's faults.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from itertools import islice

import torch

from b2ner.errors import EngineError, LabelError, UnsupportedModel
from b2ner.inference.engine import Capabilities, Completion, Finish, Request, leading_within
from b2ner.model.tokens import encode, eos_ids
from b2ner.model.weights import LoadedModel
from b2ner.prompting.template import Prompt
from b2ner.records import Usage

CONTEXT = 4096  # of the encoder; T5 has relative positions and no limit of its own


class Seq2SeqEngine:
    """Greedy generation, a batch of requests at a time. Calls from several threads take turns."""

    def __init__(self, model: LoadedModel, *, rows: int = 16, context: int = CONTEXT) -> None:
        if not model.encoder_decoder:
            raise UnsupportedModel("this engine runs encoder-decoders; use the local engine")
        self._model = model
        self._rows = rows
        self._context = context
        self._end = eos_ids(model.tokenizer, model.network)
        self._lock = threading.Lock()

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(grammar=False, scores=False, prefix_cache=False)

    def fit(self, prompt: Prompt, text: str) -> int:
        """How many leading code points of `text` fit the encoder; see `Engine.fit`."""
        room = self._context - len(self._encode(prompt)) - 8
        if room < 1:
            raise LabelError("the prompt's head fills the context: ask for fewer labels at once")
        return leading_within(text, room, lambda part: len(encode(self._model.tokenizer, part)))

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        source = iter(requests)
        while batch := list(islice(source, self._rows)):
            with self._lock, torch.inference_mode():
                try:
                    done = self._run(batch)
                except RuntimeError as fault:
                    raise EngineError(f"the network failed: {fault}") from fault
            yield from done

    def _run(self, batch: list[Request]) -> list[Completion]:
        prompts = [self._encode(request.prompt) for request in batch]
        longest = max(map(len, prompts))
        pad = self._model.tokenizer.pad_token_id or 0
        device = self._model.network.device
        ids = torch.tensor([p + [pad] * (longest - len(p)) for p in prompts], device=device)
        seen = torch.tensor([[1] * len(p) + [0] * (longest - len(p)) for p in prompts])
        most = max(request.max_answer_tokens for request in batch)
        made = self._model.network.generate(
            input_ids=ids, attention_mask=seen.to(device), max_new_tokens=most, do_sample=False
        )
        completions = []
        for request, prompt, row in zip(batch, prompts, made[:, 1:].tolist(), strict=True):
            answer = row[: request.max_answer_tokens]
            ended = next((i for i, token in enumerate(answer) if token in self._end), None)
            kept = answer[:ended]
            # The decoder drops the blank that an answer begins with.
            text = " " + self._model.tokenizer.decode(kept, skip_special_tokens=True).lstrip()
            finish = Finish.LENGTH if ended is None else Finish.STOP
            usage = Usage(len(prompt), len(kept), len(kept))
            completions.append(Completion(text, finish, usage=usage))
        return completions

    def _encode(self, prompt: Prompt) -> list[int]:
        return [*encode(self._model.tokenizer, prompt.head + prompt.body), self._end[0]]
