"""What a session is, without opening a file: names, the record and its checks, its row, JSON text, provenance.

Not here: files (disk), one session's folder (session), searching rows (index).
"""
