"""The random fields, parcels and speckle that simulated scenes are made of."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import zoom
from scipy.spatial import cKDTree
from scipy.stats import gamma, kstest

from flora.data.simulate.kinds import Kind
from flora.data.simulate.noise import (
    Grid,
    blur,
    enlarge,
    fractal,
    hash_grid,
    normal,
    ramp,
    smooth,
    spline_weights,
    stir,
    uniform,
)
from flora.data.simulate.parcels import cut, nearest_two
from flora.data.simulate.place import SceneConfig, draw_place
from flora.data.simulate.radar import BACKSCATTER, incidence, speckle

GRID = Grid(-300, 900, 400, 500)


def test_hashes_are_uniform_and_unrelated_to_their_neighbours() -> None:
    drawn = uniform(hash_grid(7, np.arange(-250, 250), np.arange(400)))
    assert drawn.min() >= 0 and drawn.max() < 1
    assert kstest(drawn.ravel(), "uniform").pvalue > 1e-3
    for one, two in (
        (drawn[1:], drawn[:-1]),
        (drawn[:, 1:], drawn[:, :-1]),
        (drawn[1:, 1:], drawn[:-1, :-1]),
    ):
        assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.01


def test_two_normals_of_one_hash_are_independent() -> None:
    hashes = hash_grid(3, np.arange(300), np.arange(300))
    one, two = normal(hashes), normal(hashes, part=1)
    assert abs(one.mean()) < 0.02 and one.std() == pytest.approx(1, abs=0.01)
    assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.01


def test_stir_depends_on_every_key() -> None:
    assert len({stir(1), stir(2), stir(1, 0), stir(1, 1), stir(1, 0, 0), stir(1, 1, 0), stir(-1)}) == 7


def test_spline_weights_by_hand() -> None:
    """On a lattice point the cubic B-spline weighs 1/6, 2/3, 1/6; half way 1/48, 23/48, 23/48, 1/48."""
    weights, lattice = spline_weights(np.array([5.0, 5.5]))
    assert lattice.tolist() == [4, 5, 6, 7]
    assert weights[0] == pytest.approx([1 / 6, 2 / 3, 1 / 6, 0], abs=1e-6)
    assert weights[1] == pytest.approx([1 / 48, 23 / 48, 23 / 48, 1 / 48], abs=1e-6)


@pytest.mark.parametrize("wavelength", [3.7, 9.0, 17.3])
def test_smooth_field_has_unit_spread_and_no_grid(wavelength: float) -> None:
    grid = Grid(0, 0, 900, 900)
    field = smooth(5, grid, wavelength)
    assert abs(field.mean()) < 0.1
    assert field.std() == pytest.approx(1, abs=0.08)
    # Where the lattice lies must not show: the spread by phase within a cell stays within a tenth.
    phase = ((grid.rows / wavelength + stir(5, 4) / 2**32) % 1 * 4).astype(int)
    spread = [field[phase == i].std() for i in range(4)]
    assert max(spread) / min(spread) < 1.12


def test_fields_are_functions_of_the_place_not_of_the_window() -> None:
    whole = fractal(9, GRID, 60, 4)
    part = fractal(9, Grid(-250, 1000, 60, 70), 60, 4)
    assert np.allclose(part, whole[50:110, 100:170], atol=1e-4)
    assert fractal(9, GRID, 60, 4).std() == pytest.approx(1, abs=0.35)


def test_enlarge_against_scipy_and_on_a_plane() -> None:
    rows, cols = np.mgrid[0:5, 0:7].astype(np.float32)
    large = enlarge(2 * rows + cols, 4)
    assert large.shape == (16, 24)
    fine_rows, fine_cols = np.mgrid[0:16, 0:24] / 4
    assert np.allclose(large, 2 * fine_rows + fine_cols, atol=1e-5)
    rough = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    oracle = zoom(rough, (17 / 5, 25 / 7), order=1, grid_mode=False)
    assert np.allclose(enlarge(rough, 4), oracle[:16, :24], atol=1e-4)


def test_blur_by_hand() -> None:
    point = np.zeros((5, 5), np.float32)
    point[2, 2] = 4
    assert np.allclose(blur(point, 0.5), [[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]])


def test_ramp_by_hand() -> None:
    assert ramp(np.array([-1, 0, 1, 2, 9], np.float32), 0, 2) == pytest.approx([0, 0, 0.5, 1, 1])


def test_nearest_two_against_a_tree() -> None:
    rng = np.random.default_rng(1)
    sites = rng.uniform(0, 100, (9, 2)).astype(np.float32)
    points = rng.uniform(0, 100, (500, 2)).astype(np.float32)
    first, gap = nearest_two(points[:, 0], points[:, 1], sites)
    distances, order = cKDTree(sites).query(points, k=2)
    assert np.array_equal(first, order[:, 0])
    # The border is the perpendicular bisector: d2² − d1² = 2 · gap · distance of the sites.
    apart = np.linalg.norm(sites[order[:, 0]] - sites[order[:, 1]], axis=1)
    assert np.allclose(gap * 2 * apart, distances[:, 1] ** 2 - distances[:, 0] ** 2, atol=0.05)


def test_cut_pieces_are_runs_with_ends_where_the_number_changes() -> None:
    position = np.arange(-40, 40, 0.25, dtype=np.float32)
    number, edge = cut(position, 16.0, np.uint32([77]))
    assert (np.diff(number) >= 0).all()
    changes = np.flatnonzero(np.diff(number))
    assert len(changes) >= 5
    assert (edge[changes] <= 0.26).all() and (edge[changes + 1] <= 0.26).all()
    assert (edge >= -1e-4).all() and edge.max() <= 8.01


def test_speckle_is_gamma_with_the_looks_asked_for() -> None:
    place = draw_place(1, SceneConfig(looks=(4.4, 4.4), speckle_side=(0.4, 0.4)))
    one, two = speckle(11, Grid(0, 0, 600, 600), place)
    for grain in (one, two):
        assert grain.mean() == pytest.approx(1, abs=0.01)
        assert grain.var() == pytest.approx(1 / 4.4, rel=0.03)
        assert kstest(grain[::5, ::5].ravel(), gamma(4.4, scale=1 / 4.4).cdf).statistic < 0.02
    assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.01, "VV and VH speckle apart"
    # By hand: [a, 1, a] correlates neighbours by 2a / (1 + 2a²) = 0.606; Sentinel-1 GRD at 10 m shows 0.5 to 0.7.
    assert np.corrcoef(one[:, 1:].ravel(), one[:, :-1].ravel())[0, 1] == pytest.approx(0.6, abs=0.03)
    assert abs(np.corrcoef(one[:, 3:].ravel(), one[:, :-3].ravel())[0, 1]) < 0.02


def test_incidence_grows_across_the_swath_and_ends_with_it() -> None:
    place = draw_place(1, SceneConfig(incidence_deg=(30, 30)))
    angle = incidence(Grid(0, 0, 2, 30000), place)[0]
    assert angle[0] == pytest.approx(30) and angle[12500] == pytest.approx(38, abs=1e-3)
    assert angle[-1] == pytest.approx(46)


def test_every_cover_has_its_backscatter_and_water_is_darkest() -> None:
    assert set(BACKSCATTER) == set(Kind)
    assert all(vh < vv for vv, vh, *_ in BACKSCATTER.values()), "cross-polarised return is weaker"
    assert min(BACKSCATTER, key=lambda kind: BACKSCATTER[kind][0]) is Kind.WATER
    assert BACKSCATTER[Kind.DROWNED_FOREST][0] > BACKSCATTER[Kind.FOREST][0], "double bounce"
    assert BACKSCATTER[Kind.SAND][0] < BACKSCATTER[Kind.BARE][0], "dry sand is dark"
