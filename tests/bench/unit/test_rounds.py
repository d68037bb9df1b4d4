"""Rounds and quartiles."""

import unittest

from rounds import quartile, quartiles, take_turns


class Rounds(unittest.TestCase):
    def test_the_lower_quartile_ignores_slow_rounds(self):
        self.assertEqual(quartile([10.0, 12.0, 14.0, 16.0, 1000.0]), 12.0)

    def test_one_round_is_its_own_quartile(self):
        self.assertEqual(quartile([7.0]), 7.0)

    def test_each_name_is_measured_once_in_each_round(self):
        order = []
        values = take_turns(["a", "b", "c"], 4, lambda name: float(order.append(name) or len(order)))
        self.assertEqual({name: len(of_name) for name, of_name in values.items()}, {"a": 4, "b": 4, "c": 4})
        for begin in range(0, 12, 3):
            self.assertEqual(sorted(order[begin : begin + 3]), ["a", "b", "c"])
        self.assertEqual(quartiles({"a": [2.0, 2.0]}), {"a": 2.0})
