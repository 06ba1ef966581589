"""Questions over all sessions: SQL by DuckDB on Arrow tables, made from the records and the verified lines of streams.

Nothing of the store is changed, and the engine opens no file: what a query sees was read by our own readers.
Not here: conditions on one listing (query), figures of one replay (playback).
"""
