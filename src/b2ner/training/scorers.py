"""Which kind of network learns in which kind of rows: all that the loop must know of it.

Both kinds lay the texts of an epoch into `rows`, make `inputs` of some rows, and map those to the
summed loss of their answers.
"""

from __future__ import annotations

from b2ner.training.network import Learner
from b2ner.training.packed import PackedScorer
from b2ner.training.pairs import PairScorer

Scorer = PackedScorer | PairScorer


def open_scorer(learner: Learner) -> Scorer:
    """The scorer for a network, checked: it computes what the network alone computes.

    Raises UnsupportedModel for a network that neither kind computes right.
    """
    scorer = PairScorer(learner) if learner.encoder_decoder else PackedScorer(learner)
    scorer.check()
    return scorer
