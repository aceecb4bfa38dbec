# SPDX-License-Identifier: Apache-2.0
"""Which cells the table has, and how much is read in each. Nothing here measures.

A cell is a kind of work over a link, by one side: gridmount with nothing cached (cold), from `cache_dir` (disk), from
the kernel's caches (page), or one of those it is compared with. The nominal amount (1 GiB, 10,000 names) would take
hours at 50 ms or 10 MB/s. So each run gets what by a rough model takes `seconds`, at most the nominal amount; the
table holds rates, and its JSON says beside each how much was read. The model need not be right: it sets how long a
run takes, never what it measures.
"""
from dataclasses import dataclass, field

MIB = 1 << 20
CHUNK = 255 << 10
ROUND_TRIPS_MS = (0, 5, 20, 50)
MEGABYTES = (0, 100, 10)        # a second; 0: unlimited
TIERS = ("cold", "disk", "page")
RUNG_LEAST = 16                 # MiB; a shorter file is all beginning
# What other mounts get, of which some are very slow: a few works over links without a limit.
OF_OTHERS = {"sequential": RUNG_LEAST, "random": 20, "small": 20, "ls": 200}
LINKS_OF_OTHERS = ("0ms-unlimited", "20ms-unlimited")
NO_NAMES_ON_DISK = {"disk": "cache_dir keeps content, not names: as cold"}


@dataclass(frozen=True)
class Link:
    round_trip_ms: int
    megabytes: int

    @property
    def name(self):
        return f"{self.round_trip_ms}ms-{self.megabytes or 'unlimited'}"

    @property
    def is_direct(self):
        return not self.round_trip_ms and not self.megabytes

    @property
    def settings(self):
        """What the proxy is told."""
        return {"latency": self.round_trip_ms / 2000, "bandwidth": self.megabytes * 1_000_000}


@dataclass(frozen=True)
class Cost:
    """What one item is taken to need: round trips, bytes over the link, and seconds on this machine."""
    trips: float
    size: int
    own: float

    def seconds(self, link):
        on_the_wire = self.size / (link.megabytes * 1e6) if link.megabytes else 0
        return self.trips * link.round_trip_ms / 1000 + on_the_wire + self.own


@dataclass(frozen=True, eq=False)
class Work:
    name: str
    unit: str
    nominal: int
    costs: dict                 # side: Cost; the order is that of the table
    least: int = 4
    in_rungs: bool = False      # files and trees of some sizes are stored: a power of two times `least`, or of ten
    base: int = 2
    left_out: dict = field(default_factory=dict)    # side: why it is no cell

    def count(self, side, link, seconds, nominal=None):
        """How many items a run of this side gets."""
        most = nominal or self.nominal
        count = int(min(most, seconds / self.costs[side].seconds(link)))
        return max(self.rung(count) if self.in_rungs else count, min(self.least, most))

    def rung(self, count):
        size = self.least
        while size * self.base <= count:
            size *= self.base
        return size


def whole(name):
    """A large file in MiB. All that read it over the link read the same one: a start weighs alike."""
    far = Cost(0.02, MIB, 1 / 400)
    return Work(name, "MiB/s", 1024 if name == "sequential" else 2048, {
        "cold": far, "disk": Cost(0, 0, 1 / 300), "page": Cost(0, 0, 1 / 3000),
        "pymongo": far, "pymongo, 4 threads": far, "plain C": far}, least=RUNG_LEAST, in_rungs=True)


WORKS = {work.name: work for work in (
    whole("sequential"),
    whole("mmap"),
    Work("random", "reads/s", 10_000, {
        "cold": Cost(1, CHUNK, 5e-4), "disk": Cost(0, 0, 4e-4), "page": Cost(0, 0, 2e-6),
        "pymongo": Cost(1, CHUNK, 1e-3), "pymongo, 4 threads": Cost(0.25, CHUNK, 1e-3),
        "plain C": Cost(1, CHUNK, 5e-4)}),
    Work("stride", "reads/s", 16_384, {
        "cold": Cost(0.05, 65_536, 2e-4), "disk": Cost(0, 0, 2e-4), "page": Cost(0, 0, 2e-6),
        "pymongo": Cost(0.25, 65_536, 2.5e-4), "pymongo, 4 threads": Cost(0.07, 65_536, 2.5e-4),
        "plain C": Cost(0.25, 65_536, 1e-4)}, least=64),
    Work("small", "files/s", 1_000, {
        "cold": Cost(1, 5000, 3e-4), "disk": Cost(1, 0, 3e-4), "page": Cost(1, 0, 2e-4),
        "pymongo": Cost(2, 5000, 5e-4), "pymongo, 4 threads": Cost(0.5, 5000, 5e-4),
        "plain C": Cost(2, 5000, 3e-4)}, least=20),
    Work("stat", "names/s", 10_000, {
        "cold": Cost(1, 400, 2e-4), "page": Cost(0, 0, 5e-6),
        "pymongo": Cost(1, 400, 4e-4), "pymongo, 4 threads": Cost(0.25, 400, 4e-4),
        "plain C": Cost(1, 400, 2e-4)}, least=20, left_out=NO_NAMES_ON_DISK),
    Work("ls", "names/s", 10_000, {
        "cold": Cost(0, 200, 1e-5), "page": Cost(0, 0, 5e-6),
        "pymongo": Cost(0, 200, 5e-6), "plain C": Cost(0, 200, 2e-6)},
        least=1_000, in_rungs=True, base=10,
        left_out=NO_NAMES_ON_DISK | {"pymongo, 4 threads": "one find cannot be shared by who knows no names"}),
    Work("names", "names/s", 1_000_000, {
        "cold": Cost(0.002, 200, 4e-5), "page": Cost(0, 0, 1e-5),
        "pymongo": Cost(0, 200, 5e-6), "pymongo, 4 threads": Cost(0, 200, 5e-6), "plain C": Cost(0, 200, 2e-6)},
        least=10_000, in_rungs=True, base=10, left_out=NO_NAMES_ON_DISK),
)}
LINKS = {link.name: link for link in (Link(ms, mb) for mb in MEGABYTES for ms in ROUND_TRIPS_MS)}


@dataclass(frozen=True)
class Cell:
    work: Work
    link: Link
    side: str
    count: int


def cells(work, link, seconds, nominal=None, others=()):
    """The cells of one interleaved run. Whoever fetches a file or a tree over the link gets the same one."""
    ours = [Cell(work, link, side, work.count("cold" if work.in_rungs and side not in TIERS else side,
                                              link, seconds, nominal))
            for side in work.costs]
    if work.name not in OF_OTHERS or link.name not in LINKS_OF_OTHERS:
        return ours
    return ours + [Cell(work, link, side, OF_OTHERS[work.name]) for side in others]


def chosen(names, known, what):
    """The wanted ones of `known` in its order; all when none is named."""
    for name in names:
        if name not in known:
            raise ValueError(f"no {what} {name!r}: it is one of {', '.join(known)}")
    return [value for name, value in known.items() if not names or name in names]
