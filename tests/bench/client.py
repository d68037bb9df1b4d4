"""A client of the proxies that does what a browser does: single requests, and signing in by following redirects."""

import http.client
import urllib.parse
from http.cookies import SimpleCookie

from names import HOST

#: The headers of a client that accepts pages and runs no scripts: a browser would first get a page that runs one.
_NAVIGATION = {"Accept": "text/html"}
_TIMEOUT_SECONDS = 30


def request(port: int, path: str = "/", headers: dict | None = None, **more) -> tuple[int, http.client.HTTPMessage]:
    """Returns the status and the headers of a response; `host`, `method` and `body` may be given."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    try:
        head = {"Host": more.get("host", HOST), **(headers or {})}
        connection.request(more.get("method", "GET"), path, body=more.get("body"), headers=head)
        response = connection.getresponse()
        response.read()
        return response.status, response.headers
    finally:
        connection.close()


class SignIn:
    """One sign-in at a proxy that listens without TLS."""

    def __init__(self, port: int):
        self._port = port
        self._jar: dict[str, str] = {}

    def begin(self) -> str:
        """Goes to the provider and returns the path to which it sends the user back."""
        location = self._visit("/")
        for _ in range(10):
            parts = urllib.parse.urlsplit(urllib.parse.urljoin(f"https://{HOST}/", location))
            path = urllib.parse.urlunsplit(("", "", parts.path, parts.query, ""))
            if parts.hostname != HOST:
                location = _location(request(parts.port, path, _NAVIGATION, host=parts.netloc), path)
            elif "code" in dict(urllib.parse.parse_qsl(parts.query)):
                return path
            else:
                location = self._visit(path)
        raise RuntimeError("the sign-in goes round in circles")

    def finish(self, callback: str) -> int:
        """Comes back from the provider and returns the status of the response."""
        status, headers = request(self._port, callback, self._headers())
        self._keep(headers)
        return status

    def cookies(self) -> str:
        """The `Cookie` header of the user."""
        return "; ".join(f"{name}={value}" for name, value in self._jar.items())

    def _visit(self, path: str) -> str:
        answer = request(self._port, path, self._headers())
        self._keep(answer[1])
        return _location(answer, path)

    def _headers(self) -> dict:
        return {**_NAVIGATION, "Cookie": self.cookies()} if self._jar else _NAVIGATION

    def _keep(self, headers: http.client.HTTPMessage):
        for line in headers.get_all("set-cookie", []):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0" or not morsel.value:
                    self._jar.pop(name, None)
                else:
                    self._jar[name] = morsel.value


def _location(answer: tuple[int, http.client.HTTPMessage], path: str) -> str:
    status, headers = answer
    if status not in (302, 303) or "location" not in headers:
        raise RuntimeError(f"the sign-in ended at {path.partition('?')[0]} with {status}")
    return headers["location"]


def session(port: int) -> str:
    """Signs in and returns the `Cookie` header of the user."""
    sign_in = SignIn(port)
    status = sign_in.finish(sign_in.begin())
    cookies = sign_in.cookies()
    if status not in (302, 303) or request(port, headers={"Cookie": cookies})[0] != 200:
        raise RuntimeError(f"the sign-in ended with {status} and no session")
    return cookies
