"""Items and catalogue hold what STAC's own schemas ask, and point to files that are there."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
from affine import Affine
from product_files import blobs, grid, write_product
from pystac.extensions.classification import ClassificationExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.sar import SarExtension
from shapely.geometry import shape

from flora.errors import ConfigError, InputError, OutputError
from flora.products import stacschema
from flora.products.layerstyle import BITS
from flora.products.qgis import write_styles
from flora.products.result import open_result
from flora.products.stac import item_of, write_catalog
from flora.products.stacschema import CORE, EXTENSIONS, FILES, FOLDER, stac_faults
from flora.products.vectors import write_vectors
from flora.products.zones import write_zones
from flora.raster import CogSpec, write_cog


def product(folder: Path, **settings: Any) -> Path:
    water = blobs((40, 50))
    return write_product(folder, water, settings.pop("geobox", grid(water.shape)), flood=water, **settings)


def test_the_judge_is_not_blind(tmp_path: Path) -> None:
    told = item_of(open_result(product(tmp_path / "toy")))
    assert not stac_faults(told)
    assert set(told["stac_extensions"]) == set(EXTENSIONS.values())
    for key in ("geometry", "assets", "properties", "stac_version"):
        assert stac_faults({name: value for name, value in told.items() if name != key}), key
    for name, wrong in {
        "datetime": 2024,
        "proj:shape": [40],
        "proj:epsg": 32721,  # of an older version: fields that a version does not have are refused
        "sar:polarizations": ["vv"],
        "processing:software": "FLoRA",
    }.items():
        assert stac_faults(told | {"properties": told["properties"] | {name: wrong}}), name
    for name, wrong in {
        "raster:bands": [],
        "classification:classes": [{"value": "one", "name": "flood"}],
        "bands": [{"name": "water", "data_type": "byte"}],
    }.items():
        asset = told["assets"]["observed_flood"] | {name: wrong}
        assert stac_faults(told | {"assets": {"observed_flood": asset}}), name
    assert (
        "not among the bundled" in stac_faults(told | {"stac_extensions": ["https://a.b/v1/schema.json"]})[0]
    )


def test_bundled_schemas_are_the_official_ones() -> None:
    """Each says its own address, which names its version; those of the core are those that pystac brings."""
    from pystac.validation.local_validator import get_local_schema_cache

    official = get_local_schema_cache()
    for url, name in FILES.items():
        schema = json.loads((FOLDER / name).read_text())
        if url in official:
            assert schema == official[url]
        else:
            assert schema["$id"].rstrip("#") == url
    assert {url for url in FILES if url.startswith(CORE)} <= set(official)
    assert {path.name for path in FOLDER.iterdir()} == {*FILES.values(), "LICENSE.txt"}


def test_a_catalogue_is_judged_before_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    product(tmp_path / "one")
    write_catalog(tmp_path, check=True)
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    stacschema._judge.cache_clear()
    with pytest.raises(ConfigError, match=r"pip install 'flora-sar\[stac\]'"):
        write_catalog(tmp_path, check=True, overwrite=True)
    monkeypatch.undo()
    monkeypatch.setattr("flora.products.stac._time", lambda summary: {})
    before = (tmp_path / "catalog.json").read_bytes()
    with pytest.raises(OutputError, match="is no valid STAC"):
        write_catalog(tmp_path, check=True, overwrite=True)
    assert (tmp_path / "catalog.json").read_bytes() == before


def test_a_folder_of_runs_becomes_a_catalogue(tmp_path: Path) -> None:
    for name in ("one", "deep/two"):
        folder = product(tmp_path / name)
        write_vectors(folder)
        write_zones(folder)
        write_styles(folder)
    path = write_catalog(tmp_path)
    assert not stac_faults(json.loads(path.read_text()))
    catalog = pystac.Catalog.from_file(str(path))
    items = {item.id: item for item in catalog.get_items()}
    assert set(items) == {"one", "deep-two"}
    for item in items.values():
        told = item.to_dict(include_self_link=False, transform_hrefs=False)
        assert not stac_faults(told)
        assert item.get_root() is not None
        assert all(Path(asset.get_absolute_href() or "").is_file() for asset in item.assets.values())
        assert {"water", "observed_flood", "optical", "water_probability", "polygons", "summary"} <= set(
            item.assets
        )
        assert {"flood_polygons", "water_polygons", "zones_csv", "zones_json"} <= set(item.assets)


def test_an_item_says_what_the_files_say(tmp_path: Path) -> None:
    folder = product(tmp_path / "toy", sources=["S1A_IW_GRDH_1SDV_20240506T090000.zip"])
    item = pystac.Item.from_dict(item_of(open_result(folder)))
    projection = ProjectionExtension.ext(item)
    assert (projection.code, projection.shape) == ("EPSG:32721", [40, 50])
    assert projection.transform == [10, 0, 480_000, 0, -10, 6_680_000]
    assert projection.bbox == [480_000, 6_679_600, 480_500, 6_680_000]
    (band,) = item.assets["water_probability"].extra_fields["bands"]
    assert (band["nodata"], band["raster:scale"], band["unit"], band["data_type"]) == (
        65535,
        1e-4,
        "1",
        "uint16",
    )
    assert band["statistics"]["maximum"] == 9000
    classes = ClassificationExtension.ext(item.assets["observed_flood"]).classes or []
    assert [(c.value, c.name) for c in classes] == [(0, "no_flood"), (1, "flood")]
    sar = SarExtension.ext(item)
    assert (sar.instrument_mode, sar.product_type, str(sar.frequency_band)) == ("IW", "GRD", "C")
    assert item.datetime is not None
    assert item.datetime.isoformat() == "2024-05-06T09:00:00+00:00"
    assert -57.3 < shape(item.geometry).centroid.x < -57.1


def test_flags_and_changes_are_named(tmp_path: Path) -> None:
    folder = product(tmp_path / "toy")
    values = np.zeros((40, 50), np.uint8)
    for name in ("exclusion", "advisory", "change"):
        write_cog(folder / f"{name}.tif", values, grid(values.shape), CogSpec("uint8", (name,)))
    told = item_of(open_result(folder))
    assert not stac_faults(told)
    bits = ClassificationExtension.ext(pystac.Item.from_dict(told).assets["exclusion"]).bitfields or []
    assert [(field.offset, field.length, field.name) for field in bits][:2] == [
        (0, 1, "no_data"),
        (1, 1, "steep_slope"),
    ]
    changes = told["assets"]["change"]["classification:classes"]
    assert [entry["name"] for entry in changes] == ["land", "unchanged_water", "new_water", "receded_water"]


def test_bits_of_items_are_those_of_the_layers() -> None:
    from flora.products.flags import ADVISORY, EXCLUSION

    for layer, bits in (("exclusion", EXCLUSION), ("advisory", ADVISORY)):
        assert {flag.name: flag.bit for flag in BITS[layer]} == bits
        assert [flag.bit for flag in BITS[layer]] == [1, 2, 4, 8], "an item names them by their place"


def test_what_is_unknown_is_not_made_up(tmp_path: Path) -> None:
    folder = product(tmp_path / "toy", time=None, note="The scene is simulated.")
    told = item_of(open_result(folder))
    assert not stac_faults(told)
    assert told["properties"]["datetime"] is None
    assert told["properties"]["end_datetime"] == "2024-05-07T00:00:00Z"
    assert not any("sar" in key for key in (*told["properties"], *told["stac_extensions"]))


def test_a_date_alone_is_a_day_and_no_moment(tmp_path: Path) -> None:
    told = item_of(open_result(product(tmp_path / "toy", time="2024-05-06")))
    assert not stac_faults(told)
    times = [told["properties"][key] for key in ("datetime", "start_datetime", "end_datetime")]
    assert times == [None, "2024-05-06T00:00:00Z", "2024-05-06T23:59:59Z"]


def test_a_catalogue_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    for name in ("one", "two"):
        product(tmp_path / name)
    (tmp_path / "two" / "item.json").write_text("{}")
    with pytest.raises(OutputError, match=r"two/item.json' exists already"):
        write_catalog(tmp_path)
    assert not (tmp_path / "one" / "item.json").exists()
    assert not (tmp_path / "catalog.json").exists()


def test_a_footprint_over_the_antimeridian(tmp_path: Path) -> None:
    water = np.ones((40, 50), np.uint8)
    geobox = grid(water.shape, Affine(0.01, 0, 179.8, 0, -0.01, -16), "EPSG:4326")
    told = item_of(open_result(write_product(tmp_path / "toy", water, geobox)))
    assert not stac_faults(told)
    assert told["geometry"]["type"] == "MultiPolygon"
    assert told["bbox"] == [179.8, -16.4, -179.7, -16]


def test_faults_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no result of FLoRA"):
        write_catalog(tmp_path)
    product(tmp_path / "one")
    write_catalog(tmp_path)
    with pytest.raises(OutputError, match=r"item.json' exists already"):
        write_catalog(tmp_path)
    write_catalog(tmp_path, overwrite=True)
    product(tmp_path / "lost", geobox=grid((40, 50), crs=None))
    with pytest.raises(InputError, match="has no CRS"):
        write_catalog(tmp_path, overwrite=True)
