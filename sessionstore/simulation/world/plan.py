"""The plan of a world: SVG for a file, text for a terminal, and the report of what was read.

Not here: reading the file (city), the scene of a session (running.snapshot).
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from sessionstore.simulation.world.buildings import Building
from sessionstore.simulation.world.geometry import inside
from sessionstore.simulation.world.world import World

SHADES = " .:-=+*#%@"
LOW_M, HIGH_M = 3.0, 60.0  # the range of the colours


def report(world: World) -> dict[str, Any]:
    """What was read of a city file, with what was passed over or replaced and why."""
    city = world.city
    heights = sorted(b.height_m for b in world.buildings)
    x0, y0, x1, y1 = _extent(world)
    gps = city.origin.gps
    return {
        "source": city.source,
        "crs": city.origin.crs,
        "origin": [round(v, 3) for v in (city.origin.easting_m, city.origin.northing_m, city.origin.height_m)],
        "gps": gps.as_record() if gps else None,
        "buildings": len(world.buildings),
        "extent_m": [round(x1 - x0, 1), round(y1 - y0, 1)],
        "height_m": {
            "lowest": round(heights[0], 2),
            "median": round(heights[len(heights) // 2], 2),
            "highest": round(heights[-1], 2),
        },
        "buildings_with_windows": len({f.building.name for f in world.facades}),
        "windows": len(world.windows),
        "windows_serviceable": sum(w.reachable for w in world.windows),
        "ground": {row["use"]: len(row.get("faces") or row["heights"]) for row in city.ground},
        "passed_over": dict(city.ignored),
        "replaced": dict(city.replaced),
    }


def report_text(facts: dict[str, Any]) -> str:
    """The same as lines to read."""
    height = facts["height_m"]
    lines = [
        f"file        {facts['source']} ({facts['crs']})",
        f"buildings   {facts['buildings']} on {facts['extent_m'][0]:g} x {facts['extent_m'][1]:g} m",
        f"heights     {height['lowest']:g} to {height['highest']:g} m, median {height['median']:g} m",
        f"windows     {facts['windows']} on {facts['buildings_with_windows']} buildings, "
        f"{facts['windows_serviceable']} within reach",
        f"base        {', '.join(f'{v:.10g}' for v in facts['origin'])} in the file"
        + (f"; {facts['gps']['lat']}, {facts['gps']['lon']}" if facts["gps"] else ""),
    ]
    if facts["ground"]:
        lines.append("ground      " + ", ".join(f"{number} {use}" for use, number in facts["ground"].items()))
    lines += [f"passed over {count} x {why}" for why, count in facts["passed_over"].items()]
    lines += [f"replaced    {count} x {what}" for what, count in facts["replaced"].items()]
    return "\n".join(lines)


def svg(world: World, width_px: int = 1000) -> str:
    """The plan as SVG, north up: buildings by height (the title of each says which), the base in red."""
    x0, y0, x1, y1 = _extent(world)
    x0, y0, x1, y1 = x0 - 10, y0 - 10, x1 + 10, y1 + 10
    height_px = max(1, round(width_px * (y1 - y0) / (x1 - x0)))
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width_px}" height="{height_px}" '
        f'viewBox="{x0:.1f} {-y1:.1f} {x1 - x0:.1f} {y1 - y0:.1f}">',
        f'<rect x="{x0:.1f}" y="{-y1:.1f}" width="{x1 - x0:.1f}" height="{y1 - y0:.1f}" fill="#f4f2ec"/>',
    ]
    with_windows = {id(f.building) for f in world.facades}
    for building in world.buildings:
        path = "".join("M" + " ".join(f"{x:.2f},{-y:.2f}" for x, y in ring) + "Z" for ring in building.rings)
        edge = "#26506b" if id(building) in with_windows else "#999"
        out.append(
            f'<path d={quoteattr(path)} fill="{_colour(building.height_m)}" fill-rule="evenodd" stroke="{edge}" '
            f'stroke-width="0.5"><title>{escape(building.name)}: {building.height_m:.1f} m</title></path>'
        )
    east, north, _ = world.base_m
    out.append(f'<circle cx="{east:.2f}" cy="{-north:.2f}" r="{(x1 - x0) / 150:.2f}" fill="#c22"/></svg>')
    return "\n".join(out) + "\n"


def text_plan(world: World, columns: int = 76) -> str:
    """The plan as characters, north up: the denser, the higher; B is the base."""
    x0, y0, x1, y1 = _extent(world)
    cell = max((x1 - x0) / columns, (y1 - y0) / 80, 1.0)
    rows, width = max(1, int((y1 - y0) / (2 * cell)) + 1), int((x1 - x0) / cell) + 1
    marks = [[" "] * width for _ in range(rows)]
    for building in world.buildings:
        _shade(marks, building, x0, y1, cell)
    column, row = int((world.base_m[0] - x0) / cell), int((y1 - world.base_m[1]) / (2 * cell))
    if 0 <= row < rows and 0 <= column < width:
        marks[row][column] = "B"
    return "\n".join("".join(line).rstrip() for line in marks)


def _shade(marks: list[list[str]], building: Building, x0: float, y1: float, cell: float) -> None:
    west, south, east, north = building.box
    mark = SHADES[1 + min(8, int(8 * max(0.0, building.height_m - LOW_M) / (HIGH_M - LOW_M)))]
    for row in range(max(0, int((y1 - north) / (2 * cell))), min(len(marks), int((y1 - south) / (2 * cell)) + 1)):
        for column in range(max(0, int((west - x0) / cell)), min(len(marks[0]), int((east - x0) / cell) + 1)):
            x, y = x0 + (column + 0.5) * cell, y1 - (2 * row + 1) * cell
            if inside(x, y, building.edges):
                marks[row][column] = max(marks[row][column], mark, key=SHADES.index)


def _extent(world: World) -> tuple[float, float, float, float]:
    x, y, _ = world.base_m
    boxes = [(x, y, x, y), *(b.box for b in world.buildings)]
    return min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)


def _colour(height_m: float) -> str:
    share = min(1.0, max(0.0, (height_m - LOW_M) / (HIGH_M - LOW_M)))
    return f"#{round(215 - 150 * share):02x}{round(222 - 120 * share):02x}{round(230 - 90 * share):02x}"
