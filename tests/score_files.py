"""Files of scores with decisions of a known rate, on pairs that share people."""

import numpy as np

from facerec.runs.scores import PairScores

PAIRS = 200
RNG = np.random.default_rng(0)
LEFT, RIGHT = RNG.integers(0, 90, PAIRS), 90 + RNG.integers(0, 90, PAIRS)
IS_SAME = np.arange(PAIRS) % 2 == 0
PEOPLE = np.array([f"person {number % 45}" for number in range(180)])


def decisions(rate, seed):
    return np.random.default_rng(seed).random(PAIRS) < rate


def write_scores(path, names=("lfw", "cfp_ff"), rate=0.8, seed=0, **changed):
    arrays = {}
    for name in names:
        kept = PairScores(
            scores=np.ones(PAIRS, np.float32),
            is_same=IS_SAME,
            correct=decisions(rate, seed),
            folds=np.arange(PAIRS) // 20,
            left=LEFT,
            right=RIGHT,
            people=PEOPLE,
        )
        arrays |= {f"{name}/{k}": v for k, v in (vars(kept) | changed).items() if v is not None}
    np.savez_compressed(path, **arrays)
