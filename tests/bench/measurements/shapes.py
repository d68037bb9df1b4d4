"""The requests of a browser, in three shapes."""

from dataclasses import dataclass

from names import HOST

_BROWSER = [
    f"Host: {HOST}",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept: */*",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br",
]
#: As many as an application of some age has.
_OTHER_COOKIES = 16
_COOKIE_BYTES = 4096
_ALL_HEADERS = 40


@dataclass
class Shape:
    """What a request has beside the credentials of its user."""

    name: str
    cookies: str = ""
    headers: tuple[str, ...] = ()

    def lines(self, credentials: str) -> list[str]:
        """All headers of a request. The own cookies are the last: a proxy has to pass the others to find them."""
        cookies = "; ".join(part for part in (self.cookies, credentials) if part)
        return [*_BROWSER, *self.headers, f"Cookie: {cookies}"]

    def cookie_kib(self) -> float:
        """KiB of other cookies."""
        return len(self.cookies) / 1024


def _cookies() -> str:
    length = _COOKIE_BYTES // _OTHER_COOKIES
    parts = []
    for number in range(_OTHER_COOKIES):
        name = f"app{number:02}="
        # The separators count, too.
        parts.append(name + "v" * (length - len(name) - len("; ")))
    return "; ".join(parts)


def _headers() -> tuple[str, ...]:
    more = _ALL_HEADERS - len(_BROWSER) - len(["Cookie"])
    return tuple(f"X-Application-{number:02}: a value of usual length" for number in range(more))


#: The first is the one to which the others are compared.
BASE = Shape("no other cookies")
COOKIES = Shape("4 KB of other cookies", cookies=_cookies())
HEADERS = Shape(f"{_ALL_HEADERS} headers", headers=_headers())
ALL = (BASE, COOKIES, HEADERS)
