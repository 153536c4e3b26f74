"""Counts of times in buckets that grow with the time: as exact for microseconds as for minutes."""

import numpy as np

MANTISSA_BITS = 7
BUCKETS = 1 << MANTISSA_BITS
"""Buckets for each power of two: a time is known to one part in 128."""
LONGEST = 1 << 40  # microseconds: 12 days


class Histogram:
    """Times in seconds, counted by the microsecond up to 256 of them, and then to one part in 128.

    The layout is that of HdrHistogram (http://hdrhistogram.org): log-linear, of fixed size however many
    times there are.
    """

    def __init__(self) -> None:
        self.counts = np.zeros(_index(LONGEST) + 1, np.int64)
        self.longest = 0.0
        self._sum = 0.0

    def record(self, seconds: float) -> None:
        """Count a time; what is below 0, as clocks are, counts as 0."""
        seconds = max(0.0, seconds)
        self.counts[_index(min(LONGEST, round(seconds * 1e6)))] += 1
        self.longest = max(self.longest, seconds)
        self._sum += seconds

    def __len__(self) -> int:
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        """The mean in seconds, exact; 0 without any."""
        return self._sum / (len(self) or 1)

    def percentile(self, percent: float) -> float:
        """The seconds within which so many percent were done: the upper end of their bucket."""
        count = len(self)
        if not count:
            return 0.0
        rank = max(1, int(np.ceil(count * percent / 100)))
        index = int(np.searchsorted(np.cumsum(self.counts), rank))
        return min(self.longest, _upper(index) / 1e6)


def _index(microseconds: int) -> int:
    """The bucket of a time: its leading 8 bits, and how many more there are."""
    shift = max(0, microseconds.bit_length() - MANTISSA_BITS - 1)
    return shift * BUCKETS + (microseconds >> shift)


def _upper(index: int) -> int:
    """The longest time in a bucket, in microseconds."""
    shift = max(0, index // BUCKETS - 1)
    return ((index - shift * BUCKETS + 1) << shift) - 1
