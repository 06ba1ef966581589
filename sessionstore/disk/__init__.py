"""Every system call on a store: reading, writing, renaming, locking, appending, and what the file system can do.

Not here: what the files mean (model, session), where they are (layout).
"""
