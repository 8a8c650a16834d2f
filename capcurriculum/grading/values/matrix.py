"""Small matrices of scalars: sums, multiples, products, determinants."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from capcurriculum.grading.values.arithmetic import Arithmetic, Scalar, Undefined

_LARGEST_DETERMINANT = 4


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of scalars, all of one length."""

    rows: tuple[tuple[Scalar, ...], ...]

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return len(self.rows), len(self.rows[0])

    @property
    def cells(self) -> list[Scalar]:
        """All cells, row by row."""
        return [cell for row in self.rows for cell in row]


Value = Scalar | Matrix


def calculate(name: str, args: Sequence[Value], by: Arithmetic) -> Value:
    """An operation of which at least one argument is a matrix.

    Raises:
        Undefined: there is no such operation, or not for these shapes.
    """
    if name in ("add", "mul") and len(args) > 2:
        head, last = args[:-1], args[-1]
        if any(isinstance(one, Matrix) for one in head):
            return calculate(name, (calculate(name, head, by), last), by)
        return calculate(name, (by.add(*head) if name == "add" else by.multiply(*head), last), by)
    match name, args:
        case "add", (Matrix() as one, Matrix() as other) if one.shape == other.shape:
            return Matrix(tuple(tuple(map(by.add, *pair)) for pair in zip(one.rows, other.rows, strict=True)))
        case "neg", (Matrix(rows),):
            return Matrix(tuple(tuple(-cell for cell in row) for row in rows))
        case "mul", (Matrix() as one, Matrix() as other) if one.shape[1] == other.shape[0]:
            columns = list(zip(*other.rows, strict=True))
            return Matrix(tuple(tuple(_dot(row, column, by) for column in columns) for row in one.rows))
        case "mul", (Matrix(rows), scalar) | (scalar, Matrix(rows)) if not isinstance(scalar, Matrix):
            return Matrix(tuple(tuple(by.multiply(cell, scalar) for cell in row) for row in rows))
        case "div", (Matrix(rows), scalar) if not isinstance(scalar, Matrix):
            return Matrix(tuple(tuple(by.divide(cell, scalar) for cell in row) for row in rows))
        case "determinant", (Matrix(rows),) if len(rows) == len(rows[0]) <= _LARGEST_DETERMINANT:
            return _determinant(rows, by)
    raise Undefined(f"{name} of matrices")


def _dot(row: Sequence[Scalar], column: Sequence[Scalar], by: Arithmetic) -> Scalar:
    return by.add(*(by.multiply(one, other) for one, other in zip(row, column, strict=True)))


def _determinant(rows: Sequence[Sequence[Scalar]], by: Arithmetic) -> Scalar:
    """By its first row (Laplace)."""
    if len(rows) == 1:
        return rows[0][0]
    parts = []
    for place, cell in enumerate(rows[0]):
        part = by.multiply(cell, _determinant([[*row[:place], *row[place + 1 :]] for row in rows[1:]], by))
        parts.append(part if place % 2 == 0 else -part)
    return by.add(Fraction(0), *parts)
