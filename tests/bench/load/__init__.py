"""The programs that make load, with their output checked: a figure for a request that failed would be worthless."""
