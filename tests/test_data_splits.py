"""Touching ground, groups and the proof that splits are apart."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flora.data.dataset import Footprint, Record
from flora.data.splits import (
    shared_chips,
    shared_groups,
    touching_across,
    touching_groups,
    touching_pairs,
)


def record(chip: str, split: str = "train", group: str = "", box: tuple[float, ...] | None = None) -> Record:
    footprint = Footprint("g", *box) if box else None
    return Record(chip, "event", group or chip, split, footprint=footprint)


def test_corner_and_edge_touch_and_a_gap_does_not() -> None:
    first = Footprint("g", 0, 0, 10, 10)
    assert first.touches(Footprint("g", 10, 10, 20, 20))
    assert first.touches(Footprint("g", 10, 0, 20, 10))
    assert not first.touches(Footprint("g", 10.5, 0, 20, 10))
    assert not first.touches(Footprint("h", 0, 0, 10, 10))


boxes = st.lists(st.tuples(*[st.integers(0, 12)] * 2), max_size=12)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(boxes)
def test_sweep_finds_what_comparing_all_pairs_finds(corners: list[tuple[int, int]]) -> None:
    records = [record(str(i), box=(x, y, x + 2, y + 2)) for i, (x, y) in enumerate(corners)]
    found = {frozenset(pair) for pair in touching_pairs(records)}
    every = {
        frozenset((i, j))
        for i in range(len(corners))
        for j in range(i)
        if abs(corners[i][0] - corners[j][0]) <= 2 and abs(corners[i][1] - corners[j][1]) <= 2
    }
    assert found == every


def test_a_chain_of_touching_chips_is_one_group() -> None:
    places = [(0, 0, 1, 1), (5, 5, 6, 6), (2, 0, 3, 1), (1, 0, 2, 1)]
    first, alone, last, middle = touching_groups([record(str(i), box=box) for i, box in enumerate(places)])
    assert first == last == middle != alone


def test_faults_are_named() -> None:
    twice = [record("a"), record("a", "val")]
    assert shared_chips(twice) == ["a"]
    grouped = [record("a", group="lake"), record("b", "test", group="lake")]
    assert shared_groups(grouped) == ["lake"]
    near = [record("a", box=(0, 0, 1, 1)), record("b", "val", box=(1, 1, 2, 2))]
    assert touching_across(near) == [("a", "b")]


def test_disjoint_splits_pass() -> None:
    apart = [record("a", box=(0, 0, 1, 1)), record("b", "val", box=(3, 3, 4, 4)), record("c", "test")]
    assert not shared_chips(apart) and not shared_groups(apart) and not touching_across(apart)
