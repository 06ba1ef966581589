"""The doors that existing programs use."""
