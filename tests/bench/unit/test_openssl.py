"""Signatures in the form of a JWT."""

import base64
import json
import tempfile
import unittest
from pathlib import Path

from openssl import SigningKey, raw_signature


class RawSignatures(unittest.TestCase):
    def test_numbers_lose_their_sign_byte_and_get_their_length_back(self):
        # 0x80… has a zero in front in DER, and 1 is one byte.
        der = bytes.fromhex("3026" + "022100" + "80" + "00" * 31 + "020101")
        self.assertEqual(raw_signature(der), bytes.fromhex("80" + "00" * 31 + "00" * 31 + "01"))


class Keys(unittest.TestCase):
    def test_tokens_have_signatures_of_the_length_of_their_algorithm(self):
        with tempfile.TemporaryDirectory() as folder:
            for algorithm, length in (("ES256", 64), ("EdDSA", 64), ("RS256", 256)):
                with self.subTest(algorithm):
                    key = SigningKey(Path(folder), algorithm)
                    parts = key.sign({"a": 1}).split(".")
                    head, _, signature = (base64.urlsafe_b64decode(part + "==") for part in parts)
                    self.assertEqual(json.loads(head)["alg"], key.jwk()["alg"])
                    self.assertEqual(len(signature), length)
