"""ES256 signatures (RFC 7518 section 3.4) with nothing but the standard library.

For throw-away benchmark keys only: the arithmetic takes a time that depends on the key.
"""

import base64
import hashlib
import json
import secrets

P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
A = P - 3
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def _add(p, q):
    """Adds two points of P-256; `None` is the point at infinity."""
    if p is None or q is None:
        return p or q
    if p[0] == q[0] and (p[1] + q[1]) % P == 0:
        return None
    if p == q:
        slope = (3 * p[0] * p[0] + A) * pow(2 * p[1], -1, P)
    else:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, P)
    x = (slope * slope - p[0] - q[0]) % P
    return x, (slope * (p[0] - x) - p[1]) % P


def _multiply(scalar, point):
    result = None
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def b64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """A fresh P-256 key."""

    def __init__(self):
        self._secret = secrets.randbelow(N - 1) + 1
        self._public = _multiply(self._secret, G)

    def jwks(self) -> dict:
        """The public half as a JWK set."""
        x, y = (b64url(c.to_bytes(32, "big")) for c in self._public)
        return {"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "bench", "x": x, "y": y}]}

    def sign(self, claims: dict) -> str:
        """A compact JWT."""
        head = {"alg": "ES256", "typ": "JWT", "kid": "bench"}
        message = ".".join(b64url(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims))
        digest = int.from_bytes(hashlib.sha256(message.encode()).digest(), "big")
        while True:
            nonce = secrets.randbelow(N - 1) + 1
            r = _multiply(nonce, G)[0] % N
            s = pow(nonce, -1, N) * (digest + r * self._secret) % N
            if r and s:
                return message + "." + b64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
