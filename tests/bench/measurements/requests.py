"""CPU time per request over HTTP/1.1 without TLS, for each proxy and each shape of a request."""

from dataclasses import dataclass, replace

import client
import config.envoy
import config.nginx
from lab import Lab
from load import wrk
from measurements import shapes
from measurements.shapes import Shape
from names import HOST, TOKEN_COOKIE
from programs import Program, free_port
from report import Report, Table, Target
from rounds import quartiles, take_turns

NGINX = "nginx"
HOST_PLAIN = "host without a plugin"
HOST_MODULE = "host with the module"
ENVOY = "Envoy"
ENVOY_EMPTY = "Envoy with an empty module"
ENVOY_MODULE = "Envoy with the module"
ENVOY_JWT = "Envoy with jwt_authn and RBAC"

#: The proxies without the check, or without the module, of the others.
_PLAIN = {HOST_MODULE: HOST_PLAIN, ENVOY_EMPTY: ENVOY, ENVOY_MODULE: ENVOY, ENVOY_JWT: ENVOY}
#: Shares of the host without a plugin, of Envoy's own filters, of plain Envoy and of nginx.
_MODULE_SHARE, _OWN_FILTERS_SHARE, _ENVOY_SHARE, _NGINX_SHARE = 0.20, 1.0, 0.42, 1.35
CONNECTIONS = 32
_WARM_UP_SECONDS = 1


@dataclass
class Proxy:
    """A proxy that is measured, and the cookie of a user whom it admits."""

    program: Program
    port: int
    cookie: str
    checks: bool

    def verify(self):
        """Makes sure that the check is on: a figure of a proxy that admits every client would be worthless."""
        if (status := client.request(self.port, headers={"Cookie": self.cookie})[0]) != 200:
            raise RuntimeError(f"{self.program.name} answers {status} to a permitted user:\n{self.program.tail()}")
        if self.checks and client.request(self.port)[0] == 200:
            raise RuntimeError(f"{self.program.name} admits every client")


def measure(lab: Lab) -> Report:
    """Measures all proxies with all shapes."""
    proxies = _start(lab)
    for proxy in proxies.values():
        proxy.verify()
        load(lab, proxy.port, shapes.BASE.lines(proxy.cookie), _WARM_UP_SECONDS)
    turns = [(shape.name, name) for shape in shapes.ALL for name in proxies]
    by_name = {shape.name: shape for shape in shapes.ALL}
    values = take_turns(turns, lab.effort.rounds, lambda turn: cost(lab, proxies[turn[1]], by_name[turn[0]]))
    spent = quartiles(values)
    return report({name: {proxy: spent[name, proxy] for proxy in proxies} for name in by_name})


def load(lab: Lab, port: int, headers: list[str], seconds: int) -> int:
    """Returns how many requests were answered, all of them with 200."""
    command = wrk.command(str(lab.tools.wrk), f"http://127.0.0.1:{port}/", headers, seconds, CONNECTIONS)
    return wrk.answered(lab.load(command))


def cost(lab: Lab, proxy: Proxy, shape: Shape) -> float:
    """Microseconds of CPU time per request."""
    before = proxy.program.cpu_ns()
    answered = load(lab, proxy.port, shape.lines(proxy.cookie), lab.effort.seconds)
    return (proxy.program.cpu_ns() - before) / 1000 / answered


def _start(lab: Lab) -> dict[str, Proxy]:
    session = lab.session
    port = free_port()
    program = lab.start_nginx(port, config.nginx.proxy(config.nginx.Front(port), lab.upstream))
    proxies = {NGINX: Proxy(program, port, session, checks=False)}
    settings = lab.settings()
    command = [lab.tools.plain_proxy, lab.write_jetway(settings)]
    program = lab.start(HOST_PLAIN, command, settings.port, lab.proxy_core)
    proxies[HOST_PLAIN] = Proxy(program, settings.port, session, checks=False)
    settings = lab.settings()
    proxies[HOST_MODULE] = Proxy(lab.start_jetway(settings), settings.port, session, checks=True)
    return {**proxies, **_start_envoys(lab)}


def _start_envoys(lab: Lab) -> dict[str, Proxy]:
    folder, upstream, provider = lab.folder, lab.upstream, lab.provider
    proxies = {}

    def start(name: str, port: int, path, cookie: str, checks: bool):
        command = [lab.tools.envoy, "-c", path, "--concurrency", 1, "--disable-hot-restart", "-l", "warning"]
        proxies[name] = Proxy(lab.start(name, command, port, lab.proxy_core), port, cookie, checks)

    port = free_port()
    start(ENVOY, port, config.envoy.plain(folder, port, upstream), lab.session, False)
    port = free_port()
    start(ENVOY_EMPTY, port, config.envoy.with_empty_module(folder, port, upstream), lab.session, False)
    settings = lab.settings()
    module = folder / "jetway.wasm"
    module.write_bytes(lab.jetway("module"))
    text = lab.jetway("envoy-config", "-c", lab.write_jetway(settings), "--module", module).decode()
    start(ENVOY_MODULE, settings.port, config.envoy.with_module(folder, text), lab.session, True)
    port = free_port()
    path = config.envoy.with_own_filters(folder, port, upstream, provider.issuer, provider.jwks())
    start(ENVOY_JWT, port, path, f"{TOKEN_COOKIE}={provider.token()}", True)
    return proxies


def report(spent: dict[str, dict[str, float]]) -> Report:
    """Relates the costs of each shape: microseconds by shape and proxy."""
    found = Report(f"CPU time per request (HTTP/1.1 without TLS, {CONNECTIONS} connections, one worker, host {HOST})")
    for shape, of_shape in spent.items():
        table = Table(shape, ["µs", "to Envoy", "to nginx", "check adds"], [1, 2, 2, 1])
        for name, cost in of_shape.items():
            plain = _PLAIN.get(name)
            added = cost - of_shape[plain] if plain else None
            table.rows[name] = [cost, cost / of_shape[ENVOY], cost / of_shape[NGINX], added]
        found.tables.append(table)
        found.targets += targets(shape, of_shape)
    found.tables.append(_growth(spent))
    return found


def targets(shape: str, cost: dict[str, float]) -> list[Target]:
    """Targets 1 to 3, which target 4 wants for each shape."""
    plain, module, envoy = cost[HOST_PLAIN], cost[HOST_MODULE], cost[ENVOY]
    in_host = _share(module - plain, plain)
    in_envoy = _share(cost[ENVOY_MODULE] - envoy, cost[ENVOY_JWT] - envoy)
    found = [
        Target(1, "the module adds to the host, relative to the host without a plugin", in_host, _MODULE_SHARE),
        Target(2, "the module adds to Envoy, relative to what jwt_authn and RBAC add", in_envoy, _OWN_FILTERS_SHARE),
        Target(3, "host with the module, relative to plain Envoy", module / envoy, _ENVOY_SHARE),
        Target(3, "host with the module, relative to plain nginx", module / cost[NGINX], _NGINX_SHARE),
    ]
    return [replace(target, text=f"{target.text}, {shape}") for target in found]


def _share(added: float, base: float) -> float | None:
    """A share of two costs. A check that costs less than nothing says that the figures are too rough."""
    return added / base if added > 0 and base > 0 else None


def _growth(spent: dict[str, dict[str, float]]) -> Table:
    table = Table("what more of a request costs", ["µs per header", "µs per KiB of cookies"], [3, 3])
    base = spent[shapes.BASE.name]
    for name, cost in base.items():
        table.rows[name] = [
            (spent[shapes.HEADERS.name][name] - cost) / len(shapes.HEADERS.headers),
            (spent[shapes.COOKIES.name][name] - cost) / shapes.COOKIES.cookie_kib(),
        ]
    return table
