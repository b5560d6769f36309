"""The answer grammar on token ids: `prompting.grammar` run by llguidance for one tokenizer.

`TokenGrammar` is made once a tokenizer; `ConstrainedAnswer` follows one answer. Masks of many
answers are computed in parallel, outside Python (`fill`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import llguidance
import llguidance.numpy
import numpy as np
from numpy.typing import NDArray

from b2ner.errors import EngineError
from b2ner.model.tokens import control_ids, encode, token_bytes
from b2ner.prompting.grammar import AnswerSpace, Progress


class TokenGrammar:
    """What llguidance must know of a tokenizer; makes `ConstrainedAnswer`s."""

    def __init__(self, tokenizer: Any, vocabulary: int, end_ids: Sequence[int]) -> None:
        """`vocabulary` is the number of rows of the network's output head.

        Raises ModelError for a tokenizer whose tokens' bytes cannot be known.
        """
        self._bytes = token_bytes(tokenizer)
        self._bytes += [b""] * (vocabulary - len(self._bytes))
        # Through this protocol, and without the slices made for JSON, llguidance is ready in a
        # third of the time that it takes to read a large tokenizer's file.
        self.tokens = llguidance.LLTokenizer(
            llguidance.TokenizerWrapper(_Vocabulary(tokenizer, self._bytes, end_ids[0])),
            eos_token=list(end_ids),
            slices=[],
        )
        self.end_ids = frozenset(end_ids)
        self._vocabulary = vocabulary
        self._executor = llguidance.LLExecutor()
        # A `;` may end an item, and what may follow depends on that: no token may run past one.
        marks = [(token, written) for token, written in enumerate(self._bytes) if b";" in written]
        self._straddling = frozenset(token for token, written in marks if b";" in written[:-1])
        self._closing = frozenset(token for token, written in marks if written[:1] == b";")

    def bytes_of(self, token: int) -> bytes:
        """The bytes that a token writes."""
        return self._bytes[token]

    def answer(self, space: AnswerSpace) -> ConstrainedAnswer:
        """A fresh answer. Raises EngineError when llguidance cannot hold the grammar."""
        return ConstrainedAnswer(self, space)

    def matcher(self, grammar: str) -> Any:
        made = llguidance.LLMatcher(self.tokens, grammar, log_level=0)
        if made.is_error():
            raise EngineError(f"the grammar of this text cannot be compiled: {made.get_error()}")
        return made

    def fill(self, answers: Sequence[ConstrainedAnswer]) -> list[NDArray[np.int64]]:
        """The ids that each answer may have next, ascending.

        None at all would be a mistake of ours, not of the text; the caller gives that answer up.
        """
        mask = llguidance.numpy.allocate_token_bitmask(len(answers), self.tokens.vocab_size)
        self._executor.unsafe_compute_mask_ptr(
            [(answer.matcher, row) for row, answer in enumerate(answers)],
            mask.ctypes.data,
            mask.shape[1] * 4,
            len(answers),
        )
        return [self._ids(row) for row in mask]

    def _ids(self, mask: NDArray[np.int32]) -> NDArray[np.int64]:
        words = np.nonzero(mask)[0]
        bits = np.unpackbits(mask[words].view(np.uint8).reshape(-1, 4), axis=1, bitorder="little")
        which, bit = np.nonzero(bits)
        ids = words[which] * 32 + bit
        ids = ids[ids < self._vocabulary]
        if self._straddling:
            ids = np.array([i for i in ids.tolist() if i not in self._straddling], dtype=np.int64)
        return ids

    def closes(self, token: int) -> bool:
        """Whether a token ends an item that may end: the end of the answer, or a `;`."""
        return token in self.end_ids or token in self._closing


class _Vocabulary:
    """A tokenizer as `llguidance.TokenizerWrapper` wants it: calling it gives a text's ids."""

    def __init__(self, tokenizer: Any, written: Sequence[bytes], end: int) -> None:
        self.tokens = written
        self.eos_token_id = end
        self.bos_token_id = tokenizer.bos_token_id
        self.special_token_ids = sorted(control_ids(tokenizer))
        self._tokenizer = tokenizer
        # The Llama 2 family puts a blank before any text, but not behind a character of ours.
        self._before = "" if self._write(encode(tokenizer, "a: b")) == b"a: b" else "\x02"
        self._skip = len(encode(tokenizer, self._before))

    def __call__(self, text: str) -> list[int]:
        if isinstance(text, bytes):  # the wrapper asks once whether bytes will do
            raise TypeError("text, not bytes")
        ids = encode(self._tokenizer, self._before + text)[self._skip :]
        wanted = text.encode()
        if self._write(ids) == wanted:
            return ids
        # Tokenizers that normalise (Qwen's compose letters and accents) write another text than
        # they are given; the grammar holds the text as it is.
        return [self._single[wanted[i : i + 1]] for i in range(len(wanted))]

    @cached_property
    def _single(self) -> dict[bytes, int]:
        """The token of each byte."""
        return {piece: token for token, piece in enumerate(self.tokens) if len(piece) == 1}

    def _write(self, ids: Sequence[int]) -> bytes:
        return b"".join(self.tokens[token] for token in ids)


class ConstrainedAnswer:
    """One answer under its grammar, token by token."""

    def __init__(self, tokens: TokenGrammar, space: AnswerSpace) -> None:
        self._tokens = tokens
        self.progress = Progress(space)
        self.matcher = tokens.matcher(self.progress.grammar())
        self._history: list[int] = []

    def forced(self) -> list[int]:
        """The tokens that can only come next, already taken. Empty where there is a choice."""
        taken: list[int] = []
        while run := [int(token) for token in self.matcher.compute_ff_tokens()]:
            for token in run:
                self.take(token)
            taken += run
        return taken

    def take(self, token: int) -> None:
        """Add a token that is allowed. Raises EngineError when it is not."""
        self._history.append(token)
        if not self.progress.advance(self._tokens.bytes_of(token)):
            if not self.matcher.consume_token(token):
                raise EngineError(
                    f"token {token} may not follow {self.progress.written!r}: "
                    f"{self.matcher.get_error()}"
                )
            return
        self.matcher = self._tokens.matcher(self.progress.grammar())
        replayed = self._history[-self.progress.replay :]
        if not self.matcher.consume_tokens(replayed):
            raise EngineError(
                f"{self.progress.written!r} does not continue its own grammar: "
                f"{self.matcher.get_error()}"
            )
