"""A synthetic set of reviews: common words, and words of praise or blame by the review's label."""

from itertools import islice, product

import numpy as np

from models.model import Examples, RaggedArray, Splits
from models.words import from_ranks

TRAIN, TEST = 2_000, 500
VOCABULARY = 10_500  # some words more than the dictionary takes, as in the real vocabulary
COMMON = """
    the and a of to is in it i this that was as for with movie but film on not you are his have he
    be one all at by an they who so from like her or just about it's out if has some there what more
    when very up time she even my would which only story really see their had can were me than we
    much been get will do also into people other how first because them don't made make way could
    too any after characters think watch two seen many being plot little where life did know show
    ever still scene scenes acting end these director actors script music
"""
PRAISE = """
    good great best love excellent wonderful amazing beautiful perfect brilliant loved fantastic
    superb favorite enjoyed fun moving charming delightful touching powerful memorable masterpiece
    outstanding hilarious gripping clever stunning refreshing unforgettable
"""
BLAME = """
    bad worst boring awful terrible poor waste stupid dull horrible worse lame ridiculous annoying
    weak disappointing mess predictable poorly pointless cheap wasted unfunny laughable tedious
    bland forgettable dreadful pathetic painful
"""
STARTS = "b br c ch d dr f fl g gr h j k l m n p pl r s sh st t tr v w"
MIDDLES = "a e i o u ai ea ou"
ENDINGS = "o a y er"
ENDS = "ck d ft l m n nd p r rt s st t ve"


def sample(seed: int) -> Splits:
    """Write 2,000 reviews to fit on and 500 to test on; the same seed gives the same set."""
    generator = np.random.default_rng(seed)
    train, test = _write(generator, TRAIN), _write(generator, TEST)
    return Splits(train=train, test=test, vocabulary=vocabulary())


def vocabulary() -> dict[str, int]:
    """Return 10,500 words with their ranks: common words, words of praise and blame, then invented names."""
    parts = product(STARTS.split(), MIDDLES.split(), ENDS.split(), ENDINGS.split())
    words = dict.fromkeys([*COMMON.split(), *PRAISE.split(), *BLAME.split(), *map("".join, parts)])
    return {word: rank for rank, word in enumerate(islice(words, VOCABULARY), start=1)}


def _write(generator: np.random.Generator, count: int) -> Examples:
    """Write reviews of 30 to 90 words.

    About one word in eight is an opinion, and of those one in six is of the other side.
    """
    labels = generator.permutation(np.arange(count) % 2).astype(np.int64)
    lengths = generator.integers(31, 92, count)
    splits = np.concatenate([[0], np.cumsum(lengths)])
    total = int(splits[-1])
    common, praise, blame = np.cumsum([len(words.split()) for words in (COMMON, PRAISE, BLAME)])
    praises = (np.repeat(labels, lengths) == 1) == (generator.random(total) > 1 / 6)
    opinions = np.where(
        praises,
        generator.integers(common + 1, praise + 1, total),
        generator.integers(praise + 1, blame + 1, total),
    )
    kind = generator.random(total)
    ranks = np.where(kind < 1 / 8, opinions, generator.integers(1, common + 1, total))
    ranks = np.where(kind > 19 / 20, generator.integers(blame + 1, VOCABULARY + 1, total), ranks)
    return Examples(from_ranks(RaggedArray(ranks, splits)), labels)
