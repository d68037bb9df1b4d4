"""The CPU time of a callback, which ends a sign-in, with each algorithm of the provider's signature."""

from client import SignIn
from lab import Lab
from programs import Program
from report import Report, Table, Target
from rounds import quartiles, take_turns

_LIMIT_MS = 3.0
_ALGORITHMS = ("RS256", "ES256", "EdDSA")
#: A token that is refused before a signature is verified: the sign-in costs the rest.
_REFUSED = "refused before verifying"
#: In each round, so that a figure is well above what the kernel's clock can tell.
_SIGN_INS = 5


def measure(lab: Lab) -> Report:
    """Signs in with each algorithm."""
    settings = lab.settings()
    program = lab.start_jetway(settings)
    # The first one fetches the provider's metadata and keys.
    _callback_ms(lab, program, settings.port, _ALGORITHMS[0])
    turns = [*_ALGORITHMS, _REFUSED]

    def cost(kind: str) -> float:
        return sum(_callback_ms(lab, program, settings.port, kind) for _ in range(_SIGN_INS)) / _SIGN_INS

    try:
        return report(quartiles(take_turns(turns, lab.effort.rounds, cost)))
    finally:
        lab.provider.algorithm = "ES256"


def report(spent: dict[str, float]) -> Report:
    """Reports the milliseconds of the callbacks."""
    found = Report("a sign-in: the host's CPU time for a callback, the call to the provider included")
    table = Table("for each callback", ["ms", "verifying, ms"], [2, 2])
    for kind, cost in spent.items():
        table.rows[kind] = [cost, None if kind == _REFUSED else cost - spent[_REFUSED]]
    found.tables.append(table)
    found.notes.append("verifying: the difference to a token that is refused before; it includes making the session")
    text = "ms of CPU for a callback with an RS256 token, the host's part included"
    found.targets.append(Target(9, text, spent["RS256"], _LIMIT_MS))
    return found


def _callback_ms(lab: Lab, program: Program, port: int, kind: str) -> float:
    lab.provider.algorithm = None if kind == _REFUSED else kind
    sign_in = SignIn(port)
    callback = sign_in.begin()
    before = program.cpu_ns()
    status = sign_in.finish(callback)
    spent = program.cpu_ns() - before
    is_refused = status not in (302, 303)
    if is_refused != (kind == _REFUSED):
        raise RuntimeError(f"the callback with {kind} was answered with {status}:\n{program.tail()}")
    return spent / 1e6
