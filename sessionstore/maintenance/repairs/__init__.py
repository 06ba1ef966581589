"""The repairs of the doctor: each keeps the original bytes in quarantine first.

Not here: what is wrong (maintenance.checks).
"""
