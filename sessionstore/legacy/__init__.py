"""Folders of the old system, imported as sessions and exported for tools that still need them.

    tolerant    JSON that may be torn, damaged or full of NaN      instants    epoch, ISO with zone, ISO without
    layout      one old folder, understood                         importer    old folders into a store
    exporter    sessions in the old layout

Rules: unknown values stay unknown (null or absent, never 0), assumptions are reported, and the original files are kept
byte for byte beside the imported session.
"""
