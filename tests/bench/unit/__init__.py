"""Tests of what needs no proxy: `python3 -B -m unittest discover -s unit -t .` in tests/bench."""
