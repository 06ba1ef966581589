"""Measuring: every figure stands beside a probe of the limit that ran next to it in the same run."""
