"""When requests come: at random, at a rate that changes."""

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]


def poisson(rate: float, begin: float, end: float, random: np.random.Generator) -> Times:
    """Independent arrivals at a rate, between two times."""
    return np.sort(random.uniform(begin, end, random.poisson(rate * (end - begin))))


def bursty(
    rate: float, seconds: float, random: np.random.Generator, *, factor: float = 2.0, part: float = 0.25
) -> Times:
    """Poisson arrivals whose rate is `factor` times the mean in bursts, which take a `part` of the time.

    Bursts last 0.2 s on average.
    """
    calm = rate * (1 - factor * part) / (1 - part)
    pieces, now, burst = [], 0.0, False
    while now < seconds:
        length = random.exponential(0.2 if burst else 0.2 * (1 - part) / part)
        end = min(seconds, now + length)
        pieces.append(poisson(rate * factor if burst else calm, now, end, random))
        now, burst = end, not burst
    return np.concatenate(pieces)
