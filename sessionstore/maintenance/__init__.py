"""The care of a store: what is wrong, why it matters, and what mends it.

    findings        what an examination says                 doctor      runs the checks, then the repairs
    ground          file system, clock, space, permission    folders     documents and streams
    listing         the index against the folders            leftovers   what crashes leave behind
    repairs         one function for each thing that can be mended; the original bytes are kept in quarantine
    history         what people changed, and undoing it      moved       the proof that a store needs no fixed place

No check writes. Not here: what a store promises (store), recovery after a crash (it happens by itself, everywhere).
"""
