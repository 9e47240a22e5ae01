"""Makes and proves splits: no chip, no group and no touching neighbour on both sides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from flora.data.dataset import Footprint, Record


def shared_chips(records: Sequence[Record]) -> list[str]:
    """Names the chips that are listed more than once."""
    seen: dict[str, int] = defaultdict(int)
    for record in records:
        seen[record.chip] += 1
    return sorted(chip for chip, count in seen.items() if count > 1)


def shared_groups(records: Sequence[Record]) -> list[str]:
    """Names the groups that have chips in more than one split."""
    splits: dict[str, set[str]] = defaultdict(set)
    for record in records:
        splits[record.group].add(record.split)
    return sorted(group for group, found in splits.items() if len(found) > 1)


def touching_across(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Names pairs of chips that touch on the ground and lie in different splits.

    Args:
        records: Records of all splits; those without a footprint are passed over.
    """
    pairs = []
    for first, second in touching_pairs(records):
        if records[first].split != records[second].split:
            pairs.append((records[first].chip, records[second].chip))
    return sorted(pairs)


def touching_pairs(records: Sequence[Record]) -> list[tuple[int, int]]:
    """Gives positions of records whose footprints overlap, share an edge or a corner."""
    grids: dict[str, list[tuple[int, Footprint]]] = defaultdict(list)
    for position, record in enumerate(records):
        if record.footprint is not None:
            grids[record.footprint.grid].append((position, record.footprint))
    pairs = []
    for placed in grids.values():
        pairs += _sweep(placed)
    return pairs


def _sweep(placed: list[tuple[int, Footprint]]) -> list[tuple[int, int]]:
    """Finds touching pairs along x, so that thousands of chips cost no square of their number."""
    ordered = sorted(placed, key=lambda item: item[1].left)
    active: list[tuple[int, Footprint]] = []
    pairs = []
    for position, footprint in ordered:
        slack = 0.01 * (footprint.right - footprint.left)
        active = [item for item in active if item[1].right + slack >= footprint.left]
        pairs += [(other, position) for other, found in active if footprint.touches(found, slack)]
        active.append((position, footprint))
    return pairs


def touching_groups(records: Sequence[Record]) -> list[int]:
    """Numbers each record by the cluster of touching chips that it belongs to.

    Args:
        records: Records with footprints; one without stands alone.

    Returns:
        One cluster number a record; touching chips, and chips linked by a chain of them, share a number.
    """
    parent = list(range(len(records)))

    def top(position: int) -> int:
        while parent[position] != position:
            parent[position] = parent[parent[position]]
            position = parent[position]
        return position

    for first, second in touching_pairs(records):
        parent[max(top(first), top(second))] = min(top(first), top(second))
    return [top(position) for position in range(len(records))]
