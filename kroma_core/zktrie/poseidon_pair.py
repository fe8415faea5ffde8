"""The Poseidon hash of two elements, in a form that takes a third of the definition's time.

In a partial round one element x of the three is boxed, y = x^5, and the other two are mapped linearly. A linear map of
two elements satisfies its own characteristic equation. So x follows a recurrence in its own last values and their fifth
powers, and the other two elements need not be known until the partial rounds are over:

    x[n] = trace x[n-1] - determinant x[n-2] + a y[n-1] + b y[n-2] + c y[n-3] + constant[n]

That is one reduction for each partial round beside those of the fifth power, and the coefficients never change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import attrs

from kroma_core.zktrie.poseidon_parameters import FULL_ROUNDS, MODULUS, parameters

PairHash: TypeAlias = Callable[[int, int], int]
_WIDTH = 3
_HALF = FULL_ROUNDS // 2
Vector: TypeAlias = tuple[int, ...]
Matrix: TypeAlias = tuple[Vector, ...]


@attrs.frozen(kw_only=True)
class Recurrence:
    """What the partial rounds come down to. Round constants are folded into the sums that they end up in."""

    coefficients: Vector
    """trace, -determinant, a, b, c."""
    first: int
    """Added to the element that is boxed first."""
    second: Vector
    """Second boxed element: of the first's fifth power, of the two other elements at entry, and alone."""
    third: Vector
    """Third boxed element: of the fifth powers, the later first, of the two other elements, and alone."""
    constants: Vector
    """constant[n] from the fourth boxed element on."""
    exit: Matrix
    """State after the partial rounds, ready to be boxed: of the last three y, the last two x, and alone."""


def recurrence() -> Recurrence:
    """Spec: eprint 2019/458, appendix B, describes the usual form; this one follows from the same matrix."""
    values = parameters(_WIDTH)
    (a, *w), (v1, *h1), (v2, *h2) = values.matrix
    v, h = (v1, v2), (tuple(h1), tuple(h2))
    partial = values.constants[_HALF:-_HALF]
    trace, determinant = h[0][0] + h[1][1], h[0][0] * h[1][1] - h[0][1] * h[1][0]
    wv, whv = _dot(w, v), _dot(w, _apply(h, v))
    # The constants of the two other elements, carried along: `carried` is what the state has and z leaves out.
    carried: Sequence[int] = partial[0][1:]
    alone = [partial[0][0]]
    for head, *tail in partial[1:]:
        alone.append((_dot(w, carried) + head) % MODULUS)
        carried = [(x + y) % MODULUS for x, y in zip(_apply(h, carried), tail, strict=True)]
    return Recurrence(
        coefficients=_reduced([trace, -determinant, a, wv - trace * a, whv - trace * wv + determinant * a]),
        first=alone[0],
        second=_reduced([a, *w, alone[1]]),
        third=_reduced([a, wv, *_times(w, h), alone[2]]),
        constants=_reduced(
            [alone[n] - trace * alone[n - 1] + determinant * alone[n - 2] for n in range(3, len(partial))]
        ),
        exit=_exit(values.matrix, alone, carried, values.constants[-_HALF]),
    )


def _exit(matrix: Matrix, alone: Sequence[int], carried: Sequence[int], following: Vector) -> Matrix:
    """The two other elements, from what the last two x were besides their y, and with them the next full round's state.

    Each quantity is a vector of its coefficients of y[n], y[n-1], y[n-2], x[n], x[n-1], and 1.
    """
    (a, *w), (v1, *h1), (v2, *h2) = matrix
    h = (tuple(h1), tuple(h2))
    wh, hv, hh = _times(w, h), _apply(h, (v1, v2)), tuple([_times(line, h) for line in h])
    # w z[n-2] and w h z[n-2]; together they say what z[n-2] is.
    one = (0, 0, -a, 0, 1, -alone[-2])
    two = (0, -a, -_dot(w, (v1, v2)), 1, 0, -alone[-1])
    inverse = pow(w[0] * wh[1] - w[1] * wh[0], -1, MODULUS)
    z1 = [inverse * (wh[1] * p - w[1] * q) for p, q in zip(one, two, strict=True)]
    z2 = [inverse * (w[0] * q - wh[0] * p) for p, q in zip(one, two, strict=True)]
    last: list[Vector] = [(1, 0, 0, 0, 0, 0)]
    for v, hv_row, hh_row, constant in zip((v1, v2), hv, hh, carried, strict=True):
        own = (0, v, hv_row, 0, 0, constant)
        last.append(tuple([o + hh_row[0] * p + hh_row[1] * q for o, p, q in zip(own, z1, z2, strict=True)]))
    rows = []
    for line, constant in zip(matrix, following, strict=True):
        row = [_dot(line, column) for column in zip(*last, strict=True)]
        row[-1] += constant
        rows.append(_reduced(row))
    return tuple(rows)


def pair_hash(number: Callable[[int], Any]) -> PairHash:
    """A hash of pairs that computes with numbers of type `number`."""
    found = recurrence()
    values = parameters(_WIDTH)
    p = number(MODULUS)
    (m00, m01, m02), (m10, m11, m12), (m20, m21, m22) = [[number(entry) for entry in line] for line in values.matrix]
    (first0, first1, first2), *constants = [[number(entry) for entry in line] for line in values.constants]
    opening, closing = constants[: _HALF - 1], constants[1 - _HALF :]
    k_start = pow(first0, 5, p)
    trace, minus_determinant, a, b, c = [number(entry) for entry in found.coefficients]
    entry0 = number(found.first)
    second0, second1, second2, second3 = [number(entry) for entry in found.second]
    third0, third1, third2, third3, third4 = [number(entry) for entry in found.third]
    later = [number(entry) for entry in found.constants]
    (t0, t1, t2, t3, t4, t5), (u0, u1, u2, u3, u4, u5), (v0, v1, v2, v3, v4, v5) = [
        [number(entry) for entry in line] for line in found.exit
    ]

    def hashed(left: int, right: int) -> int:
        k0, k1, k2 = k_start, pow(left + first1, 5, p), pow(right + first2, 5, p)
        for c0, c1, c2 in opening:
            k0, k1, k2 = (
                pow(m00 * k0 + m01 * k1 + m02 * k2 + c0, 5, p),
                pow(m10 * k0 + m11 * k1 + m12 * k2 + c1, 5, p),
                pow(m20 * k0 + m21 * k1 + m22 * k2 + c2, 5, p),
            )
        y2 = pow(m00 * k0 + m01 * k1 + m02 * k2 + entry0, 5, p)
        z1, z2 = (m10 * k0 + m11 * k1 + m12 * k2) % p, (m20 * k0 + m21 * k1 + m22 * k2) % p
        x1 = (second0 * y2 + second1 * z1 + second2 * z2 + second3) % p
        y1 = pow(x1, 5, p)
        x = (third0 * y1 + third1 * y2 + third2 * z1 + third3 * z2 + third4) % p
        y = pow(x, 5, p)
        for constant in later:
            x, x1 = (trace * x + minus_determinant * x1 + a * y + b * y1 + c * y2 + constant) % p, x
            y, y1, y2 = pow(x, 5, p), y, y1
        k0 = pow(t0 * y + t1 * y1 + t2 * y2 + t3 * x + t4 * x1 + t5, 5, p)
        k1 = pow(u0 * y + u1 * y1 + u2 * y2 + u3 * x + u4 * x1 + u5, 5, p)
        k2 = pow(v0 * y + v1 * y1 + v2 * y2 + v3 * x + v4 * x1 + v5, 5, p)
        for c0, c1, c2 in closing:
            k0, k1, k2 = (
                pow(m00 * k0 + m01 * k1 + m02 * k2 + c0, 5, p),
                pow(m10 * k0 + m11 * k1 + m12 * k2 + c1, 5, p),
                pow(m20 * k0 + m21 * k1 + m22 * k2 + c2, 5, p),
            )
        return int((m00 * k0 + m01 * k1 + m02 * k2) % p)

    return hashed


def _dot(left: Sequence[int], right: Sequence[int]) -> int:
    return sum([x * y for x, y in zip(left, right, strict=True)])


def _apply(matrix: Sequence[Sequence[int]], vector: Sequence[int]) -> Vector:
    return tuple([_dot(line, vector) for line in matrix])


def _times(vector: Sequence[int], matrix: Sequence[Sequence[int]]) -> Vector:
    return tuple([_dot(vector, column) for column in zip(*matrix, strict=True)])


def _reduced(vector: Sequence[int]) -> Vector:
    return tuple([entry % MODULUS for entry in vector])
