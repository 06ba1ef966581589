"""Folders of the old system, read into real sessions and written for the tools that still want them.

    tolerant    JSON that may be torn, damaged or full of NaN      instants    epoch, ISO with zone, ISO without
    layout      one old folder, understood                         importer    old folders into a store
    exporter    sessions in the old layout

The rule of all of it: what is not known stays unknown (null or absent, never 0), what is assumed is said, and the
original files are kept byte for byte beside what was read from them.
"""
