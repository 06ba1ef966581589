"""The checks of the doctor, one module for each part of a store; none of them writes.

Not here: the order of the checks (maintenance.doctor), repairs (maintenance.repairs).
"""
