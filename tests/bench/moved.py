# SPDX-License-Identifier: Apache-2.0
"""What a change did to a figure, and whether that is more than noise. Nothing here measures.

Two builds are measured in pairs, one right after the other, so that what slows the machine slows both. The logarithms
of the ratios of the pairs have a mean and a spread; the figure has moved when the interval that holds the mean with
99 % (Student's t) leaves out 1. That many, since each comparison has tens of figures: with 95 %, one in each would
seem to move.
"""
import math
import statistics
from dataclasses import dataclass

# Quantiles of Student's t for 99 %, two-sided, by degrees of freedom; the last stands for more.
T99 = (63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169, 3.106, 3.055, 3.012, 2.977, 2.947)


@dataclass(frozen=True)
class Change:
    """New against base: the ratio and the ends of its interval; all None where a ratio has no sense."""
    ratio: float | None
    low: float | None
    high: float | None
    moved: bool

    def word(self, more_is_better):
        if not self.moved:
            return "no"
        if self.ratio is None:
            return "changed"
        return "better" if (self.ratio > 1) == more_is_better else "worse"


def change(base, new):
    """What became of `base` in `new`, measured in pairs."""
    pairs = list(zip(base, new, strict=True))
    if all(before == after for before, after in pairs):
        return Change(1.0, 1.0, 1.0, False)
    if not all(before > 0 and after > 0 for before, after in pairs):
        return Change(None, None, None, max(base) < min(new) or max(new) < min(base))
    logs = [math.log(after / before) for before, after in pairs]
    middle = statistics.fmean(logs)
    if len(logs) == 1:
        return Change(math.exp(middle), None, None, False)
    off = T99[min(len(logs) - 1, len(T99)) - 1] * statistics.stdev(logs) / math.sqrt(len(logs))
    low, high = math.exp(middle - off), math.exp(middle + off)
    return Change(math.exp(middle), low, high, low > 1 or high < 1)
