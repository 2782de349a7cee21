"""The one model of a table: what every builder makes and every writer writes."""

from dataclasses import dataclass, replace

Value = str | int | float | None
Row = dict[str, Value]

MISSING = "–"


@dataclass(frozen=True)
class Column:
    """`format` is the number's format as in `format()`; a column without one holds text and is aligned left."""

    key: str
    head: str
    unit: str = ""
    format: str = ""

    @property
    def is_number(self) -> bool:
        return bool(self.format)

    @property
    def is_whole(self) -> bool:
        return self.format.endswith("d")

    @property
    def title(self) -> str:
        return f"{self.head} ({self.unit})" if self.unit else self.head

    def show(self, value: Value) -> str:
        """The cell as a reader sees it, with thousands separators where `format` has them."""
        if value is None:
            return MISSING
        return format(value, self.format) if self.is_number else str(value)


@dataclass(frozen=True)
class Table:
    """`caption` says what is shown (and names the profile where it depends on one), `note` where it comes from."""

    name: str
    caption: str
    columns: list[Column]
    rows: list[Row]
    note: str

    def __post_init__(self) -> None:
        keys = [column.key for column in self.columns]
        titles = [column.title for column in self.columns]
        if len(set(keys)) < len(keys) or len(set(titles)) < len(titles):
            raise ValueError(f"table {self.name}: two columns have the same key or head")
        for row in self.rows:
            if row.keys() != set(keys):
                raise ValueError(f"table {self.name}: a row has {sorted(row)}, the columns are {sorted(keys)}")

    def shown(self) -> list[list[str]]:
        """Every cell as a reader sees it."""
        return [[column.show(row[column.key]) for column in self.columns] for row in self.rows]

    def without_empty(self, *keys: str) -> "Table":
        """Leaves out those of the columns `keys` in which no row has anything to say."""
        empty = {key for key in keys if all(row[key] in (None, "") for row in self.rows)}
        rows = [{key: value for key, value in row.items() if key not in empty} for row in self.rows]
        return replace(self, columns=[c for c in self.columns if c.key not in empty], rows=rows)
