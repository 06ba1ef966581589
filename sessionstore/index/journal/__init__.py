"""The journal index: one JSON line per change in ``index.jsonl``, with TinyDB on top for those who want it.

Not here: SQL engines (index.sql), the protocol that all engines follow (index).
"""
