"""Every file of the benchmark can be imported, also those that only a whole run uses."""

import importlib
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class Modules(unittest.TestCase):
    def test_every_file_is_a_module(self):
        for path in sorted(ROOT.rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            with self.subTest(name):
                importlib.import_module(name)
