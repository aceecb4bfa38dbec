# SPDX-License-Identifier: Apache-2.0
"""Rounds, rows and how they are printed. Nothing here knows what is measured."""
import json
import statistics
from dataclasses import dataclass, field


def interleave(rounds, contestants):
    """Runs every contestant once per round, A B C, A B C, …: {name: [value, …]}.

    So a machine that slows down for a while slows them all.
    """
    values = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            values[name].append(run())
    return values


@dataclass
class Row:
    """One comparison. At most one of at_least and at_most is set; it bounds the ratio.

    The ratio is gridmount / reference, of medians; without a reference the target
    bounds gridmount's own median.
    """
    name: str
    unit: str
    gridmount: list
    reference_name: str = ""
    reference: list = field(default_factory=list)
    at_least: float | None = None
    at_most: float | None = None
    more_is_better: bool = False
    note: str = ""

    def best(self, values):
        return max(values) if self.more_is_better else min(values)

    @property
    def ratio(self):
        if not self.reference:
            return None
        below = statistics.median(self.reference)
        return statistics.median(self.gridmount) / below if below else None

    @property
    def target(self):
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return "" if self.at_most is None else f"<= {self.at_most:g}"

    @property
    def reached(self):
        """True, False, or None where there is no target."""
        value = self.ratio if self.reference else statistics.median(self.gridmount)
        if not self.target or value is None:
            return None
        return value >= self.at_least if self.at_least is not None else value <= self.at_most

    def as_cells(self):
        return (self.name, self.show(self.gridmount), self.reference_name,
                self.show(self.reference), "" if self.ratio is None else f"{self.ratio:.2f}",
                self.target, {True: "yes", False: "no", None: ""}[self.reached])

    def show(self, values):
        if not values:
            return ""
        median, best = statistics.median(values), self.best(values)
        return f"{figure(median)} ({figure(best)}) {self.unit}".rstrip()

    def as_json(self):
        def side(values):
            if not values:
                return None
            return {"median": statistics.median(values), "best": self.best(values),
                    "all": values}
        return {"name": self.name, "unit": self.unit, "gridmount": side(self.gridmount),
                "reference_name": self.reference_name, "reference": side(self.reference),
                "ratio": self.ratio, "target": self.target, "reached": self.reached,
                "note": self.note}


def figure(value):
    """Three figures are what a benchmark can stand for; counts are shown whole."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


HEADINGS = ("what", "gridmount", "reference", "", "ratio", "target", "reached")


def print_table(rows):
    """A table that reads on a terminal and in Markdown; median first, (best) behind it."""
    cells = [HEADINGS, *(row.as_cells() for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEADINGS))]
    for number, line in enumerate(cells):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    for row in rows:
        if row.note:
            print(f"{row.name}: {row.note}")


def write_json(path, rows, **surroundings):
    document = {**surroundings, "rows": [row.as_json() for row in rows]}
    path.write_text(json.dumps(document, indent=2, default=str) + "\n")
