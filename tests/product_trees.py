"""Products of Sentinel-1 in the folders and under the names that their producers use, small."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from pyproj import Transformer
from raster_files import GRID, UTM, backscatter, write
from rasterio.control import GroundControlPoint

GRD = "S1A_IW_GRDH_1SDV_20240506T084511_20240506T084536_053750_0687A1_0C7F"
HYP3 = "S1A_IW_20240506T084511_DVP_RTC10_G_gpuned_4F1E"
BURSTS = (
    "OPERA_L2_RTC-S1_T063-133417-IW1_20240506T084512Z_20240506T135217Z_S1A_30_v1.0",
    "OPERA_L2_RTC-S1_T063-133418-IW1_20240506T084515Z_20240506T135217Z_S1A_30_v1.0",
)


def power(db: np.ndarray) -> np.ndarray:
    return (10 ** (db.astype(np.float64) / 10)).astype(np.float32)


@dataclass(frozen=True)
class Radar:
    """A radar image over a plane: 10 m pixels, flown along a line that is turned against the map."""

    height: int = 260
    width: int = 340
    turn: float = 12.0
    crs: str = UTM

    def grid(self) -> Affine:
        """Column and row, from the corner, to UTM."""
        return Affine.translation(520_000, 6_690_000) @ Affine.rotation(-self.turn) @ Affine.scale(10, -10)

    def tie_points(self) -> list[tuple[int, int, float, float]]:
        """Line, pixel, longitude, latitude of 10 by 21 pixel centres, as products have them."""
        to_degrees = Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)
        lines = np.linspace(0, self.height - 1, 10).round().astype(int)
        pixels = np.linspace(0, self.width - 1, 21).round().astype(int)
        return [
            (line, pixel, *to_degrees.transform(*(self.grid() @ (pixel + 0.5, line + 0.5))))
            for line in lines
            for pixel in pixels
        ]


def calibration_xml(radar: Radar, at: dict[int, list[float]], pixels: list[int]) -> str:
    vectors = "".join(
        f"<calibrationVector><azimuthTime>2024-05-06T08:45:11.000000</azimuthTime><line>{line}</line>"
        f'<pixel count="{len(pixels)}">{" ".join(map(str, pixels))}</pixel>'
        + "".join(
            f'<{name} count="{len(pixels)}">{" ".join(f"{v:.6e}" for v in values)}</{name}>'
            for name, values in (
                ("sigmaNought", sigma),
                ("betaNought", [1.0] * len(pixels)),
                ("gamma", [2.0] * len(pixels)),
                ("dn", [3.0] * len(pixels)),
            )
        )
        + "</calibrationVector>"
        for line, sigma in at.items()
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<calibration><adsHeader><missionId>S1A</missionId>'
        "<productType>GRD</productType><polarisation>VV</polarisation><mode>IW</mode><swath>IW</swath>"
        "<startTime>2024-05-06T08:45:11.000000</startTime><stopTime>2024-05-06T08:45:36.000000</stopTime>"
        "<absoluteOrbitNumber>53750</absoluteOrbitNumber><missionDataTakeId>428961</missionDataTakeId>"
        "<imageNumber>001</imageNumber></adsHeader><calibrationInformation>"
        "<absoluteCalibrationConstant>1.000000e+00</absoluteCalibrationConstant></calibrationInformation>"
        f'<calibrationVectorList count="{len(at)}">{vectors}</calibrationVectorList></calibration>'
    )


def noise_xml(
    radar: Radar, level: float, factors: tuple[float, float] = (1.0, 1.0), old: bool = False
) -> str:
    """Noise of one level, with a factor for the left and one for the right half, or as it was before 2018."""
    last, pixels = radar.height - 1, f'<pixel count="2">0 {radar.width - 1}</pixel>'
    vector, lut = ("noiseVector", "noiseLut") if old else ("noiseRangeVector", "noiseRangeLut")
    ranges = "".join(
        f'<{vector}><line>{line}</line>{pixels}<{lut} count="2">{level} {level}</{lut}></{vector}>'
        for line in (0, last)
    )
    half = radar.width // 2
    blocks = "".join(
        f"<noiseAzimuthVector><swath>IW{number}</swath><firstAzimuthLine>0</firstAzimuthLine>"
        f"<firstRangeSample>{left}</firstRangeSample><lastAzimuthLine>{last}</lastAzimuthLine>"
        f'<lastRangeSample>{right}</lastRangeSample><line count="2">0 {last}</line>'
        f'<noiseAzimuthLut count="2">{factor} {factor}</noiseAzimuthLut></noiseAzimuthVector>'
        for number, left, right, factor in (
            (1, 0, half - 1, factors[0]),
            (2, half, radar.width - 1, factors[1]),
        )
    )
    azimuth = "" if old else f'<noiseAzimuthVectorList count="2">{blocks}</noiseAzimuthVectorList>'
    return f'<noise><{vector}List count="2">{ranges}</{vector}List>{azimuth}</noise>'


def annotation_xml(radar: Radar) -> str:
    points = "".join(
        f"<geolocationGridPoint><azimuthTime>2024-05-06T08:45:11.000000</azimuthTime><slantRangeTime>5.4e-03"
        f"</slantRangeTime><line>{line}</line><pixel>{pixel}</pixel><latitude>{latitude:.12e}</latitude>"
        f"<longitude>{longitude:.12e}</longitude><height>1.2e+01</height><incidenceAngle>3.9e+01</incidenceAngle>"
        "<elevationAngle>3.4e+01</elevationAngle></geolocationGridPoint>"
        for line, pixel, longitude, latitude in radar.tie_points()
    )
    return (
        "<product><imageAnnotation><imageInformation><rangePixelSpacing>1.000000e+01</rangePixelSpacing>"
        f"<azimuthPixelSpacing>1.000000e+01</azimuthPixelSpacing><numberOfSamples>{radar.width}</numberOfSamples>"
        f"<numberOfLines>{radar.height}</numberOfLines></imageInformation></imageAnnotation>"
        f'<geolocationGrid><geolocationGridPointList count="210">{points}</geolocationGridPointList>'
        "</geolocationGrid></product>"
    )


def safe_tree(
    folder: Path,
    numbers: dict[str, np.ndarray],
    *,
    radar: Radar,
    calibration: str,
    noise: str,
    cog: bool = True,
    kind: str = "grd",
) -> Path:
    """Writes a GRD product as Copernicus has it: COG since 2023, and before; gives the `.SAFE` folder."""
    root = folder / f"{GRD}{'_COG' if cog else ''}.SAFE"
    for place in ("measurement", "annotation/calibration", "annotation/rfi", "preview"):
        (root / place).mkdir(parents=True)
    (root / "manifest.safe").write_text("<xfdu:XFDU/>")
    (root / "preview/quick-look.png").write_bytes(b"")
    times = "20240506t084511-20240506t084536-053750-0687a1"
    points = [GroundControlPoint(line, pixel, x, y, 12.0) for line, pixel, x, y in radar.tie_points()]
    for number, (band, values) in enumerate(numbers.items(), 1):
        stem = f"s1a-iw-{kind}-{band.lower()}-{times}-{number:03d}{'-cog' if cog else ''}"
        with rasterio.open(
            root / f"measurement/{stem}.tiff",
            "w",
            driver="GTiff",
            height=radar.height,
            width=radar.width,
            count=1,
            dtype="uint16",
            tiled=cog,
        ) as out:
            out.gcps = (points, rasterio.CRS.from_epsg(4326))
            out.write(values.astype(np.uint16), 1)
        (root / f"annotation/{stem}.xml").write_text(annotation_xml(radar))
        (root / f"annotation/rfi/rfi-{stem}.xml").write_text("<rfi/>")
        (root / f"annotation/calibration/calibration-{stem}.xml").write_text(calibration)
        (root / f"annotation/calibration/noise-{stem}.xml").write_text(noise)
    return root


def zipped(folder: Path) -> Path:
    """Zips a product as it is downloaded: the folder is the archive's one entry."""
    path = folder.with_name(folder.name.removesuffix(".SAFE") + ".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent).as_posix() + ("/" if file.is_dir() else ""))
    return path


def hyp3_tree(folder: Path, db: np.ndarray, name: str = HYP3) -> Path:
    """Writes an RTC product of ASF HyP3, whose name says the scale; gives its folder. 0 is no-data."""
    scale = {"p": power(db), "a": np.sqrt(power(db)), "d": db}[name.rsplit("_", 2)[1][1]].copy()
    scale[:, :3] = 0
    root = folder / name
    root.mkdir(parents=True)
    for band, values in zip(("VV", "VH"), scale, strict=True):
        write(root / f"{name}_{band}.tif", values, nodata=0, band_tags={"AREA_OR_POINT": "Point"})
    write(root / f"{name}_rgb.tif", np.zeros((3, *db.shape[1:]), np.uint8))
    for side in ("ls_map", "inc_map", "dem", "area"):
        write(root / f"{name}_{side}.tif", np.ones(db.shape[1:], np.uint8))
    (root / f"{name}.README.md.txt").write_text("ASF RTC Data Package")
    return root


def opera_tree(folder: Path, db: np.ndarray, overlap: int = 10) -> Path:
    """Writes two bursts of OPERA RTC-S1, the second further down by all but some rows; NaN is no-data."""
    root = folder / "opera"
    root.mkdir(parents=True)
    rows = db.shape[1] // 2
    for name, start in zip(BURSTS, (0, rows - overlap), strict=True):
        part = power(db[:, start : start + rows + (overlap if start else 0)]).copy()
        part[:, :2, :2] = np.nan
        for band, values in zip(("VV", "VH"), part, strict=True):
            write(
                root / f"{name}_{band}.tif",
                values,
                nodata=float("nan"),
                transform=Affine(30, 0, 499_980, 0, -30, 6_700_020 - 30 * start),
                tiled=True,
                blockxsize=16,
                blockysize=16,
            )
        write(root / f"{name}_mask.tif", np.zeros(part.shape[1:], np.uint8), nodata=255)
        (root / f"{name}.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
        (root / f"{name}_BROWSE.png").write_bytes(b"")
    return root


def earth_engine_file(path: Path, db: np.ndarray) -> Path:
    """Writes what `Export.image` makes of COPERNICUS/S1_GRD: dB in double precision, with the incidence angle."""
    values = np.concatenate([db, np.full((1, *db.shape[1:]), 38.5)]).astype(np.float64)
    values[:, -2:] = np.nan
    return write(path, values, names=("VV", "VH", "angle"), crs="EPSG:4326", transform=DEGREES)


DEGREES = Affine(8.983152841195215e-05, 0, -51.3, 0, -8.983152841195215e-05, -29.9)


def some_radar_numbers(radar: Radar, seed: int = 0) -> dict[str, np.ndarray]:
    """Digital numbers as of land, with a border of zeros as products have it."""
    db = backscatter(radar.height, radar.width, seed)
    numbers = np.clip(np.sqrt(power(db)) * 500, 1, 65535).round()
    numbers[:, :, :5] = 0
    return dict(zip(("VV", "VH"), numbers, strict=True))


__all__ = ["GRD", "GRID", "HYP3", "Radar", "power", "safe_tree", "zipped"]
