"""The result of a measurement, as a table for people and as JSON."""

from dataclasses import dataclass, field


@dataclass
class Target:
    """A figure that the project wants to reach."""

    number: int
    text: str
    #: `None` when the figures are too rough to tell.
    value: float | None
    limit: float
    #: Whether the limit is the greatest good value, and not the least.
    at_most: bool = True

    def is_met(self) -> bool:
        """Whether the figure is on the right side of its limit."""
        if self.value is None:
            return False
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def line(self) -> str:
        """One line for people."""
        relation = "at most" if self.at_most else "at least"
        verdict = "unknown" if self.value is None else "met" if self.is_met() else "NOT MET"
        return f"{self.number:3}  {verdict:8}{_cell(self.value, 3, 9)}  {relation} {self.limit:<6g} {self.text}"

    def json(self) -> dict:
        """The same for programs."""
        relation = "at_most" if self.at_most else "at_least"
        return {
            "number": self.number,
            "text": self.text,
            "value": self.value,
            relation: self.limit,
            "met": self.is_met(),
        }


@dataclass
class Table:
    """Figures with a name for each row and a unit in each heading."""

    title: str
    headings: list[str]
    #: Decimal places of each column.
    places: list[int]
    rows: dict[str, list[float | None]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The table for people. A figure that there is not is a dash."""
        first = max(map(len, self.rows), default=0)
        widths = [max(len(heading), 9) for heading in self.headings]
        lines = ["", self.title, "", " " * first + "".join(f"  {h:>{w}}" for h, w in zip(self.headings, widths))]
        for name, values in self.rows.items():
            cells = zip(values, self.places, widths, strict=True)
            lines.append(f"{name:{first}}" + "".join(f"  {_cell(*cell)}" for cell in cells))
        return lines

    def json(self) -> dict:
        """The same for programs."""
        return {
            "title": self.title,
            "rows": {name: dict(zip(self.headings, values, strict=True)) for name, values in self.rows.items()},
        }


def _cell(value: float | None, places: int, width: int) -> str:
    return f"{'–':>{width}}" if value is None else f"{value:{width}.{places}f}"


@dataclass
class Report:
    """What one measurement found."""

    title: str
    tables: list[Table] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The report for people."""
        lines = ["", f"# {self.title}"]
        for table in self.tables:
            lines += table.lines()
        lines += [""] + [f"note: {note}" for note in self.notes]
        return lines + [target.line() for target in self.targets]

    def json(self) -> dict:
        """The same for programs."""
        return {
            "title": self.title,
            "tables": [table.json() for table in self.tables],
            "targets": [target.json() for target in self.targets],
            "notes": self.notes,
        }
