"""The engine for encoder-decoder networks (T5 and its kin): plain greedy generation.

Their answers cannot be held to labels and text here, and carry no scores; the extractor says so in
each document's faults.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import torch

from b2ner.errors import EngineError, LabelError, UnsupportedModel
from b2ner.inference.engine import Capabilities, Completion, Finish, Request, leading_within
from b2ner.model.tokens import bos_ids, encode, eos_ids
from b2ner.model.weights import LoadedModel
from b2ner.prompting.template import Prompt
from b2ner.records import Usage

CONTEXT = 4096  # of the encoder, unless the network's own limit is lower; T5 has none


class Seq2SeqEngine:
    """Greedy generation, a batch of requests at a time. Calls from several threads take turns."""

    def __init__(self, model: LoadedModel, *, rows: int = 16, context: int = CONTEXT) -> None:
        if not model.encoder_decoder:
            raise UnsupportedModel("this engine runs encoder-decoders; use the local engine")
        self._model = model
        self._rows = rows
        limit = getattr(model.network.config, "max_position_embeddings", None)
        self._context = min(context, limit or context)
        self._begin = bos_ids(model.tokenizer)
        self._end = eos_ids(model.tokenizer, model.network)
        self._joint = model.card is None or model.card.tokenisation == "joint"
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
        fitting = [number for number, ids in enumerate(prompts) if len(ids) <= self._context]
        answers: dict[int, list[int]] = {}
        if fitting:
            most = max(batch[number].max_answer_tokens for number in fitting)
            made = self._generate([prompts[number] for number in fitting], most)
            answers = dict(zip(fitting, made, strict=True))
        return [
            self._completion(len(ids), answers[number][: batch[number].max_answer_tokens])
            if number in answers
            else Completion("", Finish.ERROR, error=self._too_long(ids))
            for number, ids in enumerate(prompts)
        ]

    def _generate(self, prompts: Sequence[Sequence[int]], most: int) -> list[list[int]]:
        """At most so many ids behind each prompt; what follows an end there means nothing."""
        longest = max(map(len, prompts))
        pad = self._model.tokenizer.pad_token_id or 0
        ids = torch.tensor([[*p, *[pad] * (longest - len(p))] for p in prompts])
        seen = torch.tensor([[1] * len(p) + [0] * (longest - len(p)) for p in prompts])
        device = self._model.network.device
        made = self._model.network.generate(
            input_ids=ids.to(device),
            attention_mask=seen.to(device),
            max_new_tokens=min(most, self._context - 1),
            do_sample=False,
            num_beams=1,
        )
        answers: list[list[int]] = made[:, 1:].tolist()  # behind the token that starts the decoder
        return answers

    def _completion(self, prompt_tokens: int, tokens: list[int]) -> Completion:
        ended = next((i for i, token in enumerate(tokens) if token in self._end), None)
        kept = tokens[:ended]
        # The decoder drops the blank that an answer begins with.
        answer = " " + self._decode(kept).lstrip()
        finish = Finish.LENGTH if ended is None else Finish.STOP
        return Completion(answer, finish, usage=Usage(prompt_tokens, len(kept), len(kept)))

    def _decode(self, tokens: list[int]) -> str:
        text: str = self._model.tokenizer.decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def _too_long(self, prompt: Sequence[int]) -> str:
        return f"a prompt of {len(prompt)} tokens does not fit a context of {self._context}"

    def _encode(self, prompt: Prompt) -> list[int]:
        """The prompt's ids as the network was taught them, and the end."""
        if self._joint:
            return [*encode(self._model.tokenizer, prompt.head + prompt.body), self._end[0]]
        head, body = (encode(self._model.tokenizer, text) for text in (prompt.head, prompt.body))
        return [*self._begin, *head, *body, self._end[0]]
