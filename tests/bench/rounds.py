"""Measuring in rounds: proxies take turns in a new random order, so that other load of the machine affects all."""

import random
import statistics
from collections.abc import Callable, Iterable
from typing import TypeVar

Name = TypeVar("Name")


def take_turns(names: Iterable[Name], rounds: int, measure: Callable[[Name], float]) -> dict[Name, list[float]]:
    """Measures each name once per round."""
    names = list(names)
    values = {name: [] for name in names}
    for _ in range(rounds):
        for name in random.sample(names, len(names)):
            values[name].append(measure(name))
    return values


def quartile(values: list[float]) -> float:
    """The lower quartile: other load of the machine makes figures larger, never smaller."""
    return statistics.quantiles(values, n=4, method="inclusive")[0] if len(values) > 1 else values[0]


def quartiles(values: dict[Name, list[float]]) -> dict[Name, float]:
    """The lower quartile of each name."""
    return {name: quartile(of_name) for name, of_name in values.items()}
