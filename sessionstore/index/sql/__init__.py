"""The SQL index engines, SQLite and PostgreSQL, and what they share.

Not here: the protocol (index), the journal engine (index.journal).
"""
