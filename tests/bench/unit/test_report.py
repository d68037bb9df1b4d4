"""Tables and targets, for people and for programs."""

import json
import unittest

from report import Report, Table, Target


class Targets(unittest.TestCase):
    def test_a_limit_itself_is_good(self):
        self.assertTrue(Target(1, "cost", 0.2, 0.2).is_met())
        self.assertTrue(Target(6, "rate", 0.9, 0.9, at_most=False).is_met())

    def test_the_wrong_side_is_not_met(self):
        self.assertFalse(Target(1, "cost", 0.21, 0.2).is_met())
        self.assertFalse(Target(6, "rate", 0.89, 0.9, at_most=False).is_met())
        self.assertIn("NOT MET", Target(1, "cost", 0.21, 0.2).line())

    def test_an_unknown_figure_is_not_met(self):
        target = Target(1, "cost", None, 0.2)
        self.assertFalse(target.is_met())
        self.assertIn("unknown", target.line())


class Reports(unittest.TestCase):
    def setUp(self):
        table = Table("a table", ["µs", "ratio"], [1, 2], {"nginx": [22.14, 1.0], "host": [None, 2.0]})
        self.report = Report("a report", [table], [Target(3, "ratio", 2.0, 1.35)], ["a note"])

    def test_people_see_rounded_figures_and_dashes(self):
        lines = self.report.lines()
        self.assertTrue(any(line.split() == ["nginx", "22.1", "1.00"] for line in lines))
        self.assertTrue(any(line.split() == ["host", "–", "2.00"] for line in lines))
        self.assertIn("note: a note", lines)

    def test_programs_see_exact_figures(self):
        found = json.loads(json.dumps(self.report.json(), allow_nan=False))
        self.assertEqual(found["tables"][0]["rows"]["nginx"], {"µs": 22.14, "ratio": 1.0})
        target = {"number": 3, "text": "ratio", "value": 2.0, "at_most": 1.35, "met": False}
        self.assertEqual(found["targets"], [target])
