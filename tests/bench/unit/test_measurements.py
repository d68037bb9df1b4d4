"""What the measurements conclude from their figures."""

import unittest
from pathlib import Path

from measurements import counts, requests, routes, shapes, sign_in, start, tls, transfers, websockets


def costs(**changed) -> dict[str, float]:
    """The figures with which the targets were set, in microseconds."""
    figures = {
        requests.NGINX: 22.1,
        requests.HOST_PLAIN: 25.4,
        requests.HOST_MODULE: 43.4,
        requests.ENVOY: 68.9,
        requests.ENVOY_MODULE: 107.3,
        requests.ENVOY_JWT: 88.4,
    }
    return {**figures, **{getattr(requests, name): value for name, value in changed.items()}}


def values(targets) -> list:
    return [target.value and round(target.value, 2) for target in targets]


class Requests(unittest.TestCase):
    def test_targets_are_shares(self):
        self.assertEqual(values(requests.targets("base", costs())), [0.71, 1.97, 0.63, 1.96])

    def test_a_check_that_costs_nothing_measurable_is_no_measure(self):
        found = requests.targets("base", costs(ENVOY_JWT=68.0, HOST_MODULE=25.0))
        self.assertEqual([target.value for target in found[:2]], [None, None])

    def test_each_shape_has_its_targets_and_growth_is_per_unit(self):
        spent = {shape.name: costs() for shape in shapes.ALL}
        spent[shapes.HEADERS.name] = costs(NGINX=22.1 + len(shapes.HEADERS.headers))
        report = requests.report(spent)
        self.assertEqual(len(report.targets), 4 * len(shapes.ALL))
        per_header, per_kib = report.tables[-1].rows[requests.NGINX]
        self.assertAlmostEqual(per_header, 1.0)
        self.assertAlmostEqual(per_kib, 0.0)


class Shapes(unittest.TestCase):
    def test_the_shapes_are_as_large_as_they_say(self):
        self.assertEqual(len(shapes.HEADERS.lines("a=b")), 40)
        self.assertAlmostEqual(shapes.COOKIES.cookie_kib(), 4.0, delta=0.02)
        self.assertEqual(shapes.BASE.lines("a=b")[-1], "Cookie: a=b")
        self.assertTrue(shapes.COOKIES.lines("a=b")[-1].endswith("; a=b"))


class Others(unittest.TestCase):
    def test_websockets_are_compared_with_the_relay(self):
        names = ("plain TCP relay", "nginx", "host with the module")
        spent = {(size, name): 10.0 + at for size in (64, 64 << 10) for at, name in enumerate(names)}
        self.assertEqual(values(websockets.report(spent).targets), [1.2, 1.2])

    def test_handshakes_are_compared_by_their_rate(self):
        spent = {
            (name, key, version, resumption): cost
            for key, version in (("ES256", "1.3"), ("ES256", "1.2"), ("RS256", "1.3"))
            for resumption in ("full", "resumed")
            for name, cost in (("nginx", 400.0), ("host with the module", 500.0))
        }
        found = tls.report(spent)
        self.assertEqual(values(found.targets), [0.8] * 6)
        self.assertFalse(any(target.is_met() for target in found.targets))

    def test_transfers_have_a_cost_per_byte(self):
        load = transfers.Load("/download", 1, 1)
        spent = {("a download", "nginx"): 1048.576, ("a download", "host with the module"): 2097.152}
        found = transfers.report(spent, {"a download": load})
        row = [round(cell, 3) for cell in found.tables[0].rows["a download"]]
        self.assertEqual(row, [1048.576, 2097.152, 1.0, 2.0, 2.0])

    def test_a_program_without_a_cache_has_no_warm_start(self):
        found = start.report([3.0, 3.0], [])
        self.assertEqual([target.text for target in found.targets], ["seconds to the first answer without a cache"])
        self.assertEqual(len(found.notes), 1)
        self.assertEqual(len(start.report([3.0], [0.2]).targets), 2)

    def test_verifying_is_a_difference(self):
        spent = {"RS256": 2.5, "ES256": 1.5, "EdDSA": 1.25, "refused before verifying": 0.5}
        found = sign_in.report(spent)
        self.assertEqual(found.tables[0].rows["RS256"], [2.5, 2.0])
        self.assertEqual(values(found.targets), [2.5])

    def test_routes_are_compared_with_the_cheapest(self):
        spent = {"1": 40.0, "100": 41.0, "10,000": 42.0, "10,000 paths of one host": 44.0}
        found = routes.report({name: routes.Costs(cost, 1, 1, 1) for name, cost in spent.items()})
        self.assertEqual(values(found.targets), [1.1])


class Counts(unittest.TestCase):
    ROW = {"shape": "base", "instructions per request": "50000", "shared data reads per request": "3"}

    def test_host_calls_of_a_shape_are_added(self):
        calls = [{"shape": "base", "function": name, "calls": count} for name, count in (("a", "2"), ("b", "5"))]
        calls.append({"shape": "other", "function": "a", "calls": "1"})
        self.assertEqual(counts.report([self.ROW], calls).tables[0].rows, {"base": [50000, 3, 7]})

    def test_calls_that_were_not_counted_are_no_figure(self):
        self.assertEqual(counts.report([self.ROW], []).tables[0].rows, {"base": [50000, 3, None]})

    def test_the_kept_file_is_readable(self):
        self.assertTrue(counts.measure(None).tables[0].rows)


class Files(unittest.TestCase):
    def test_every_measurement_is_listed(self):
        import measurements

        files = {path.stem for path in Path(measurements.__file__).parent.glob("*.py")} - {"__init__", "shapes"}
        listed = {measure.__module__.rpartition(".")[2] for measure in measurements.ALL.values()}
        self.assertEqual(files, listed)
