"""Moving sessions: comparing copies, merging stores, bundles, and stores on other machines.

A session folder is complete in itself, so it can be copied anywhere; this folder makes the copying safe.
Not here: which content descends from which (model.lineage), formats of other programs (formats).
"""
