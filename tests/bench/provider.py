"""A temporary OpenID provider on loopback, which signs every client in as alice@example.com without a form."""

import json
import secrets
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from es256 import Key

EMAIL = "alice@example.com"


def claims(issuer: str, audience: str, **more) -> dict:
    """The claims of an ordinary ID token, about as long as a real one."""
    now = int(time.time())
    return {
        "iss": issuer,
        "sub": "248289761001",
        "aud": audience,
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

    def __init__(self, key: Key):
        self.key = key
        self.nonces: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()

    def _metadata(self) -> dict:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": self.issuer + "/authorize",
            "token_endpoint": self.issuer + "/token",
            "jwks_uri": self.issuer + "/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "code_challenge_methods_supported": ["S256"],
        }

    def _authorize(self, query: dict) -> str:
        code = secrets.token_urlsafe(16)
        self.nonces[code] = query["nonce"]
        answer = urllib.parse.urlencode({"code": code, "state": query["state"]})
        return f"{query['redirect_uri']}?{answer}"

    def _token(self, form: dict, client: str) -> dict:
        token = self.key.sign(claims(self.issuer, client, nonce=self.nonces.pop(form["code"])))
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
                    self.answer(provider.key.jwks())
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
                    self.answer(provider._token(dict(urllib.parse.parse_qsl(body)), "bench"))
                else:
                    self.send_error(404)

        return Handler
