"""The proof: faults that are real, and one question after each: before or after, and every acknowledged change kept?

    operations      what is done to a store, and the model of what each operation promises
    oracle          looks at a store after a fault, and compares it with what the model allows
    crash_states    every disk that a power cut may leave, from the operation log of the write module
    syscalls        SIGKILL and errors at each system call, by strace
    power           power cuts on real file systems
    history         many processes at once, and the search for an order that explains what they saw

Volumes: ``PROOF=ci`` (the default of pytest), ``PROOF=whole`` (that of the report: a fault at each system call, not at
one in three) or ``PROOF=long``; tests of the long run carry the marker ``long``.
"""
