"""Tables of trajectories as sessions: CSV, JSON Lines, Parquet; the columns are guessed by name and unit, or given.

    delimited, jsonl, parquet    files into rows      roles, units, cells    what a column and a cell mean
    mapping                      what the user gives  plan                   which column is what
    flight                       rows into a draft

Not here: writing tables (analysis).
"""
