"""Signing in by following redirects, to get a session that the module made itself."""

import http.client
import urllib.parse
from http.cookies import SimpleCookie

from targets import HOST

#: The headers of a client that accepts pages and runs no scripts: a browser would first get a page that runs one.
NAVIGATION = {
    "Accept": "text/html",
}


def _request(port: int, path: str, host: str, headers: dict) -> tuple[int, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Host": host, **headers})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers
    finally:
        connection.close()


def status(port: int, headers: dict) -> int:
    """Returns a proxy's response to a request with these headers."""
    return _request(port, "/", HOST, headers)[0]


def session(port: int) -> str:
    """Returns the `Cookie` header of a signed-in user."""
    jar: dict[str, str] = {}
    url = f"https://{HOST}/"
    for _ in range(10):
        parts = urllib.parse.urlsplit(url)
        own = parts.hostname == HOST
        cookies = {"Cookie": _join(jar)} if own and jar else {}
        path = urllib.parse.urlunsplit(("", "", parts.path, parts.query, ""))
        code, headers = _request(port if own else parts.port, path, parts.netloc, {**NAVIGATION, **cookies})
        if own:
            _keep(jar, headers)
        if code == 200 and own:
            return _join(jar)
        if code not in (302, 303) or "location" not in headers:
            raise RuntimeError(f"the sign-in ended at {parts.path} with {code}")
        url = urllib.parse.urljoin(url, headers["location"])
    raise RuntimeError("the sign-in goes round in circles")


def _keep(jar: dict[str, str], headers: http.client.HTTPMessage):
    for line in headers.get_all("set-cookie", []):
        for name, morsel in SimpleCookie(line).items():
            if morsel["max-age"] == "0" or not morsel.value:
                jar.pop(name, None)
            else:
                jar[name] = morsel.value


def _join(jar: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in jar.items())
