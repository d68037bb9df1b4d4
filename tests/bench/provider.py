"""A temporary OpenID provider on loopback, which signs every client in without a form."""

import json
import secrets
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from names import CLIENT, EMAIL
from openssl import SigningKey, b64url


def claims(issuer: str, **more) -> dict:
    """The claims of an ordinary ID token, about as long as a real one."""
    now = int(time.time())
    return {
        "iss": issuer,
        "sub": "248289761001",
        "aud": CLIENT,
        "iat": now,
        "exp": now + 3600,
        "auth_time": now,
        "email": EMAIL,
        "email_verified": True,
        "name": "Alice Example",
        "preferred_username": "alice",
        **more,
    }


class Provider:
    """The server, in a thread of its own."""

    def __init__(self, keys: list[SigningKey]):
        self.keys = {key.algorithm: key for key in keys}
        #: The algorithm that signs the next token; `None` makes tokens that are refused before a signature is verified.
        self.algorithm: str | None = keys[0].algorithm
        self._nonces: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()

    def jwks(self) -> dict:
        """The public keys as a JWK set."""
        return {"keys": [key.jwk() for key in self.keys.values()]}

    def token(self, **more) -> str:
        """An ID token."""
        content = claims(self.issuer, **more)
        if self.algorithm:
            return self.keys[self.algorithm].sign(content)
        parts = [b64url(json.dumps(part).encode()) for part in ({"alg": "none", "typ": "JWT"}, content)]
        return ".".join([*parts, b64url(bytes(256))])

    def _metadata(self) -> dict:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": self.issuer + "/authorize",
            "token_endpoint": self.issuer + "/token",
            "jwks_uri": self.issuer + "/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": list(self.keys),
            "code_challenge_methods_supported": ["S256"],
        }

    def _authorize(self, query: dict) -> str:
        code = secrets.token_urlsafe(16)
        self._nonces[code] = query["nonce"]
        answer = urllib.parse.urlencode({"code": code, "state": query["state"]})
        return f"{query['redirect_uri']}?{answer}"

    def _tokens(self, form: dict) -> dict:
        token = self.token(nonce=self._nonces.pop(form["code"]))
        access = secrets.token_urlsafe(16)
        return {"access_token": access, "token_type": "Bearer", "expires_in": 3600, "id_token": token}

    def _handler(provider):  # noqa: N805 - the inner `self` is the request
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, body: dict):
                text = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                if url.path == "/.well-known/openid-configuration":
                    self.answer(provider._metadata())
                elif url.path == "/jwks":
                    self.answer(provider.jwks())
                elif url.path == "/authorize":
                    self.send_response(302)
                    self.send_header("location", provider._authorize(dict(urllib.parse.parse_qsl(url.query))))
                    self.send_header("content-length", "0")
                    self.end_headers()
                else:
                    self.send_error(404)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                if urllib.parse.urlsplit(self.path).path == "/token":
                    self.answer(provider._tokens(dict(urllib.parse.parse_qsl(body))))
                else:
                    self.send_error(404)

        return Handler
