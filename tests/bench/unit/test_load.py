"""Reading the output of the programs that make load: a failed request is never a figure."""

import unittest

from load import h2load, handshakes, wrk

WRK = """Running 1s test @ http://127.0.0.1:1/
  1 threads and 32 connections
  41234 requests in 1.00s, 7.12MB read
Requests/sec:  41200.00
"""
H2LOAD = """Cipher: TLS_AES_128_GCM_SHA256
finished in 173.55ms, 1152.38 req/s, 254.31KB/s
requests: 200 total, 200 started, 200 done, 200 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 200 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 200.14MB (209760000) total, 10.55KB (10800) headers (space savings 45.45%), 200.00MB (209715200) data
"""


class Wrk(unittest.TestCase):
    def test_all_answers_are_counted(self):
        self.assertEqual(wrk.answered(WRK), 41234)

    def test_other_answers_are_an_error(self):
        for line in ("  Non-2xx or 3xx responses: 1", "  Socket errors: connect 0, read 1, write 0, timeout 0"):
            with self.subTest(line), self.assertRaises(RuntimeError):
                wrk.answered(WRK + line)

    def test_no_answer_is_an_error(self):
        with self.assertRaises(RuntimeError):
            wrk.answered(WRK.replace("41234", "0"))


class H2load(unittest.TestCase):
    def test_all_answers_are_counted(self):
        self.assertEqual(h2load.done(H2LOAD, 200), h2load.Done(200, 209715200, "TLS_AES_128_GCM_SHA256"))

    def test_a_connection_without_tls_has_no_cipher(self):
        self.assertIsNone(h2load.done(H2LOAD.partition("\n")[2], 200).cipher)

    def test_other_answers_are_an_error(self):
        changes = [
            ("200 succeeded, 0 failed", "199 succeeded, 1 failed"),
            ("0 errored", "1 errored"),
            ("0 timeout", "1 timeout"),
            ("200 2xx, 0 3xx, 0 4xx", "199 2xx, 0 3xx, 1 4xx"),
            ("traffic: ", ""),
        ]
        for old, new in changes:
            with self.subTest(new), self.assertRaises(RuntimeError):
                h2load.done(H2LOAD.replace(old, new), 200)

    def test_missing_answers_are_an_error(self):
        with self.assertRaises(RuntimeError):
            h2load.done(H2LOAD, 201)

    def test_a_transfer_over_http1_has_no_tls(self):
        load = h2load.Load("/download", 10, 1, http1=True)
        command = load.command("h2load", "bench.localhost", 8080, ["cookie: a=b"])
        self.assertIn("--h1", command)
        self.assertIn("--connect-to=127.0.0.1:8080", command)
        self.assertEqual(command[-1], "http://bench.localhost/download")


class Handshakes(unittest.TestCase):
    def test_both_kinds_are_counted(self):
        self.assertEqual(handshakes.done("full 3 resumed 41\n"), handshakes.Done(3, 41))

    def test_a_program_that_failed_is_an_error(self):
        for line in ("", "full 3", "full 3 resumed 41 more"):
            with self.subTest(line), self.assertRaises(RuntimeError):
                handshakes.done(line)
