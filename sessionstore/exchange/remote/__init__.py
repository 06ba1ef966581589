"""Stores behind a URL: ``s3://``, ``sftp://``, ``http(s)://``, ``file://``, ``memory://``, and sessions in a ZIP.

Not here: sessions on a disk of this machine (store), bundles that are unpacked (exchange.bundle).
"""
