"""The entry points that existing programs use."""
