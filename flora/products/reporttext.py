"""What every report says of the method and its limits, and how it looks."""

from __future__ import annotations

from typing import Final

SIMULATED_NOTE: Final = "The scene is SIMULATED: nothing here shows a real place."

RADAR: Final = (
    "A network read the two polarisations (VV, VH) of one Sentinel-1 radar scene, which sees through cloud and at "
    "night."
)
WITH_IMAGE: Final = (
    "A network read the two polarisations (VV, VH) of one Sentinel-1 radar scene, which sees through cloud and at "
    "night, and an optical image, which is named below."
)

METHOD: Final = (
    "It gave each pixel a probability of being open water, and what the place would have looked like to the "
    "eye. A pixel counts as water where its probability reaches the threshold stated below.",
    "Flood is water that is not reference water (permanent or seasonal), where a reference was given; otherwise the "
    "map shows all water. Areas are true areas on the ellipsoid. Of each area, the sure part has a probability of at "
    "least 90 %, and the possible one adds all pixels of at least 10 %.",
)

CAVEATS: Final = (
    "Radar misses water under trees and between buildings: the map shows less flood there than there is.",
    "Dry sand, runways, radar shadow and wet snow can look like water; wind can make water look like land.",
    "The map shows the moment of the overpass, not the highest level of the water.",
    "The optical picture is a reconstruction, not a photograph: colours are plausible, details may be wrong.",
    "The range holds for the network's own doubt, not for what it has never seen. Check on the ground before people "
    "depend on it.",
)

STYLE: Final = """
@page { size: A4; margin: 13mm }
* { box-sizing: border-box }
body { font: 13px/1.4 "DejaVu Sans", system-ui, sans-serif; color: #1c2024; max-width: 740px; margin: 16px auto;
  padding: 0 12px; -webkit-print-color-adjust: exact; print-color-adjust: exact }
header { border-bottom: 2px solid #185cc4; margin-bottom: 8px }
h1 { font-size: 22px; margin: 0; overflow-wrap: anywhere } header p { margin: 0 0 4px; color: #62686e }
h2 { font-size: 15px; margin: 12px 0 4px } h3 { font-size: 13px; margin: 0 0 3px }
p, ul { margin: 4px 0 } ul { padding-left: 18px }
.alert { color: #b03a14; font-weight: bold; border: 1px solid; padding: 4px 8px }
.numbers { display: flex; flex-wrap: wrap; gap: 6px 22px; margin: 8px 0 }
.numbers div { display: flex; flex-direction: column; max-width: 230px } .numbers b { font-size: 20px }
.numbers i { font-style: normal; color: #62686e; font-size: 11px }
.maps { display: grid; grid-template-columns: 1fr 1fr; gap: 10px 12px }
figure { margin: 0; break-inside: avoid } figcaption { color: #62686e; font-size: 11px }
svg { width: 100%; display: block; border: 1px solid #62686e; overflow: hidden }
.grid { fill: none; stroke: #fff; stroke-opacity: .55; stroke-width: .6 }
.degree { font-size: 10px; fill: #1c2024; stroke: #fff; stroke-width: 2.5; paint-order: stroke }
.bar { fill: #fff; stroke: #1c2024; stroke-width: .8 } .half { fill: #1c2024; stroke: #1c2024; stroke-width: .8 }
.legend { display: flex; gap: 16px; margin: 6px 0 } .legend span { display: flex; align-items: center; gap: 5px }
.legend i { width: 18px; height: 12px; border: 1px solid #62686e; display: inline-block }
.maps .legend { flex-direction: column; align-self: end; gap: 6px; margin: 0 0 18px }
table { border-collapse: collapse; width: 100%; font-size: 11px }
th, td { text-align: left; vertical-align: top; padding: 1px 8px 1px 0; border-bottom: 1px solid #e4e4e0;
  overflow-wrap: anywhere }
table:not(.zones) th { width: 150px; font-weight: normal; color: #62686e }
tr, li { break-inside: avoid } h2 { break-after: avoid }
footer { margin-top: 10px; color: #62686e; font-size: 11px }
@media print { body { margin: 0; padding: 0; max-width: none; font-size: 11px } .numbers b { font-size: 17px } }
"""
