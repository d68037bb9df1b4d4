"""Certificates and signing keys, made by the command `openssl`."""

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

_NEW_KEY = {
    "ES256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "RS256": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "EdDSA": ["-algorithm", "ED25519"],
}
#: Bytes of a number of P-256.
_P256_BYTES = 32
#: Bytes of an Ed25519 public key, at the end of its DER form.
_ED25519_BYTES = 32
_RSA_EXPONENT = 65537


def openssl(*words, given: bytes = b"") -> bytes:
    """Returns the output of a command of openssl."""
    command = ["openssl", *map(str, words)]
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {words[0]} failed: {done.stderr.decode(errors='replace')}")
    return done.stdout


def b64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw_signature(der: bytes) -> bytes:
    """Turns an ECDSA signature of P-256 from DER into the two numbers of RFC 7518 section 3.4."""
    # SEQUENCE, its length, and two INTEGERs, each of at most 33 bytes: all lengths have one byte.
    numbers, at = [], 2
    for _ in range(2):
        length = der[at + 1]
        numbers.append(int.from_bytes(der[at + 2 : at + 2 + length], "big"))
        at += 2 + length
    return b"".join(number.to_bytes(_P256_BYTES, "big") for number in numbers)


@dataclass
class Certificate:
    """A self-signed certificate and its key, as files."""

    chain: Path
    key: Path


def certificate(folder: Path, algorithm: str, host: str) -> Certificate:
    """Makes a certificate for a host, with a key of the kind that a signature algorithm has."""
    made = Certificate(folder / f"{algorithm}.crt", folder / f"{algorithm}.key")
    openssl("genpkey", *_NEW_KEY[algorithm], "-out", made.key)
    # Not an authority, although it is its own issuer: clients refuse a server's certificate that is one.
    extensions = ["-addext", f"subjectAltName=DNS:{host}", "-addext", "basicConstraints=critical,CA:FALSE"]
    openssl("req", "-x509", "-key", made.key, "-subj", f"/CN={host}", "-days", 7, *extensions, "-out", made.chain)
    return made


class SigningKey:
    """A fresh key that signs tokens with one algorithm."""

    def __init__(self, folder: Path, algorithm: str):
        self.algorithm = algorithm
        self._path = folder / f"token-{algorithm}.pem"
        openssl("genpkey", *_NEW_KEY[algorithm], "-out", self._path)

    def jwk(self) -> dict:
        """The public half as a JWK."""
        head = {"alg": self.algorithm, "use": "sig", "kid": self.algorithm}
        if self.algorithm == "RS256":
            modulus = openssl("rsa", "-in", self._path, "-noout", "-modulus").decode().strip().partition("=")[2]
            exponent = _RSA_EXPONENT.to_bytes(3, "big")
            return {**head, "kty": "RSA", "n": b64url(bytes.fromhex(modulus)), "e": b64url(exponent)}
        public = openssl("pkey", "-in", self._path, "-pubout", "-outform", "DER")
        if self.algorithm == "EdDSA":
            return {**head, "kty": "OKP", "crv": "Ed25519", "x": b64url(public[-_ED25519_BYTES:])}
        x, y = public[-2 * _P256_BYTES : -_P256_BYTES], public[-_P256_BYTES:]
        return {**head, "kty": "EC", "crv": "P-256", "x": b64url(x), "y": b64url(y)}

    def sign(self, claims: dict) -> str:
        """A compact JWT."""
        head = {"alg": self.algorithm, "typ": "JWT", "kid": self.algorithm}
        message = ".".join(b64url(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims))
        return f"{message}.{b64url(self._signature(message.encode()))}"

    def _signature(self, message: bytes) -> bytes:
        if self.algorithm == "EdDSA":
            # This command reads its input from a file of a known length.
            text = self._path.with_suffix(".message")
            text.write_bytes(message)
            return openssl("pkeyutl", "-sign", "-rawin", "-inkey", self._path, "-in", text)
        signature = openssl("dgst", "-sha256", "-sign", self._path, given=message)
        return raw_signature(signature) if self.algorithm == "ES256" else signature
