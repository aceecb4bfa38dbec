# SPDX-License-Identifier: Apache-2.0
"""What the benchmark computes without measuring: which cells, what has moved, what a row says."""
import cells
import compare
import fill
import mapped
import pytest
from bench import FULL, NORMAL, QUICK
from moved import change
from results import Row

DIRECT, SLOW = cells.LINKS["0ms-unlimited"], cells.LINKS["50ms-10"]


def counts(work, link, seconds=1.0, nominal=None):
    return {cell.side: cell.count for cell in cells.cells(cells.WORKS[work], link, seconds, nominal)}


def test_every_work_is_in_the_table_over_every_link():
    assert len(cells.LINKS) == len(cells.ROUND_TRIPS_MS) * len(cells.MEGABYTES)
    for work in cells.WORKS.values():
        for side in (*cells.TIERS, "pymongo", "pymongo, 4 threads", "plain C"):
            assert (side in work.costs) != (side in work.left_out), f"{work.name}, {side}: measured, or said why not"


def test_a_slow_link_gets_less_and_a_fast_one_no_more_than_the_nominal_amount():
    for work in cells.WORKS.values():
        for side in work.costs:
            near, far = (work.count(side, link, 1.0) for link in (DIRECT, SLOW))
            assert work.least <= far <= near <= work.nominal, f"{work.name}, {side}"
            assert work.count(side, DIRECT, 1e9) <= work.nominal


def test_files_come_in_a_few_sizes_the_same_for_all_that_fetch_them():
    at_ten_megabytes = counts("sequential", SLOW)
    assert {at_ten_megabytes[side] for side in ("cold", "pymongo", "pymongo, 4 threads", "plain C")} == {16}
    sizes = {count for link in cells.LINKS.values() for count in counts("mmap", link).values()}
    assert all(size & (size - 1) == 0 for size in sizes) and len(sizes) <= 8


def test_a_nominal_amount_below_the_least_is_kept_to():
    assert set(counts("small", DIRECT, nominal=5).values()) == {5}
    assert set(counts("sequential", DIRECT, nominal=32).values()) <= {16, 32}


@pytest.mark.parametrize("sizes, minutes", [(QUICK, 6), (NORMAL, 12)])
def test_the_table_ends_within_minutes(sizes, minutes):
    """By the model, twice: what is slower than it, and what starts and ends beside."""
    spent = 0
    for work in cells.WORKS.values():
        for link in cells.LINKS.values():
            for cell in cells.cells(work, link, sizes["table_seconds"]):
                spent += work.costs[cell.side].seconds(link) * cell.count
    assert 2 * spent * sizes["table_rounds"] < minutes * 60


def test_the_full_sizes_reach_the_nominal_ones_where_the_link_allows():
    assert max(counts("mmap", DIRECT, FULL["table_seconds"]).values()) == 2048
    assert counts("stat", DIRECT, FULL["table_seconds"])["cold"] == 10_000


def test_other_mounts_get_a_few_cells():
    of = {(work.name, link.name) for work in cells.WORKS.values() for link in cells.LINKS.values()
          for cell in cells.cells(work, link, 1.0, others=["another"]) if cell.side == "another"}
    assert of == {(work, link) for work in cells.OF_OTHERS for link in cells.LINKS_OF_OTHERS}


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="no link '7ms-3'"):
        cells.chosen(["7ms-3"], cells.LINKS, "link")
    assert cells.chosen([], cells.LINKS, "link") == list(cells.LINKS.values())


def test_equal_counts_have_not_moved():
    assert change([3, 3, 3], [3, 3, 3]).word(False) == "no"
    assert change([0, 0], [0, 0]).word(False) == "no"


def test_noise_has_not_moved():
    seen = change([100, 120, 90, 110, 95], [104, 111, 97, 100, 101])
    assert seen.low < 1 < seen.high and seen.word(True) == "no"


def test_a_steady_change_has_moved_though_the_machine_drifts():
    base = [100, 80, 60, 90, 70]
    seen = change(base, [value * factor for value, factor in zip(base, (1.19, 1.21, 1.2, 1.22, 1.18))])
    assert seen.ratio == pytest.approx(1.2, abs=0.01) and seen.low > 1
    assert (seen.word(True), seen.word(False)) == ("better", "worse")


def test_one_pair_proves_nothing():
    assert change([100], [200]).word(True) == "no"


def test_what_has_no_ratio_changed_when_no_value_is_shared():
    assert change([0, 0, 0], [1, 2, 1]).word(False) == "changed"
    assert change([0, 1, 0], [1, 0, 1]).word(False) == "no"


def test_more_pairs_make_a_narrower_interval():
    few, many = ([100, 110] * pairs for pairs in (2, 8))
    wide, narrow = (change(values, values[::-1]) for values in (few, many))
    assert narrow.high - narrow.low < wide.high - wide.low


def test_compare_pairs_figures_and_keeps_the_references_apart():
    figures = compare.Figures()
    for number in range(3):
        for side, rate in (("base", 100), ("new", 150)):
            figures.add(number, side, Row("read", "MiB/s", [rate], "pymongo", [50], more_is_better=True))
    seen = {what: (base, new, word) for (what, _), base, new, _, word in figures.changes()}
    assert seen == {"read": ([100] * 3, [150] * 3, "better"), "(read: pymongo)": ([50] * 3, [50] * 3, "no")}


def test_compare_leaves_out_what_one_build_could_not():
    figures = compare.Figures()
    figures.add(0, "new", Row("new topic", "ms", [1]))
    assert list(figures.changes()) == []
    figures.add(1, "base", Row("new topic", "ms", [2]))
    figures.add(2, "base", Row("new topic", "ms", [4]))
    figures.add(2, "new", Row("new topic", "ms", [3]))
    assert [(base, new) for _, base, new, _, _ in figures.changes()] == [([4], [3])]


def test_rows_know_which_chunks_they_need():
    size = 4 << 20
    head = len(fill.array_head(size))
    whole = -(-size // fill.CHUNK)
    assert mapped.chunks_needed(head, size * mapped.SHARE, size) in (whole, whole + 1, whole + 2)


def test_the_head_of_an_array_is_numpys():
    assert fill.array_head(16 << 20)[:6] == b"\x93NUMPY" and len(fill.array_head(16 << 20)) % 64 == 0


def test_a_row_is_reached_by_its_ratio():
    row = Row("read", "MiB/s", [90, 100, 110], "tmpfs", [100], at_least=0.9, more_is_better=True)
    assert (row.ratio, row.reached, row.best(row.gridmount)) == (1.0, True, 110)
    assert Row("memory", "MiB", [130], at_most=128).reached is False
    assert Row("time", "ms", [130]).reached is None
