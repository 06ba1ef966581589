"""The maintenance of a store: what is wrong, why it matters, and what repairs it.

    doctor          runs the checks                          findings       what an examination reports
    checks          one module for each subject; none writes  examination    the store that is being examined
    repairs         one function for each repairable finding; the original bytes are kept in quarantine

Not here: opening and listing (store), what people changed and undoing it (store.history).
"""
