"""Systems between transforms (transforms.py): inverse matrices of all frequencies, or band matrices along one axis, eight lines a vector.

Routines that generated modules call, like those of linear_solve.py. An axis is given by its points n and its kind (see
transforms.py; 0: not transformed, 6: the band), tables of axes begin at places of `roots`. A singular system gives factors that
are not finite, hence a solution of NaN or infinity: the time loop sees a step that is not finite and makes it smaller.

Band factors are exchanged pairwise: a row that comes in changes places with the pivot row, lane by lane, where its leading entry is
larger, so that no multiplier exceeds one (D. C. Sorensen, IEEE Trans. Comput. C-34 (1985)); with one row below, partial pivoting.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ricci.backends.transforms import keep8, load8, own_memory, period, share, store8, store_part8

Array = np.ndarray[Any, Any]


def choose(condition: Array, yes: Array, no: Array) -> Array:
    """Lane by lane; in compiled code one instruction (backends/vectors.py)."""
    return np.where(condition, yes, no)


def magnitude(value: Array) -> Array:
    return np.abs(value)


def table_clear(table: Array, table_at: int, table_rows: int) -> None:
    """Zero."""
    for i in range(table_rows):
        table[table_at + i] = 0.0


def frequency(k: int, n: int, kind: int) -> int:
    """Turns of frequency k in a period."""
    if kind == 2:
        return k + 1
    return 2 * k + 1 if kind >= 4 else k


def factor_cosine(roots: Array, roots_at: int, n: int, kind: int, even: int, step: int, k: int) -> float:
    """Real part of the factor by which a shift multiplies frequency k; of an even axis of the shifts to both sides."""
    if step == 0:
        return 1.0
    c: float = roots[roots_at + step * frequency(k, n, kind) % period(n, kind)]
    return 2.0 * c if even != 0 else c


def factor_sine(roots: Array, roots_at: int, n: int, kind: int, even: int, step: int, k: int) -> float:
    """Imaginary part of that factor."""
    if step == 0 or even != 0:
        return 0.0
    s: float = roots[roots_at + n + step * k % n]
    return s


def modes_add(
    table: Array, table_at: int, table_rows: int, values: Array, values_at: int, values_rows: int,
    roots: Array, roots_at: int, roots_rows: int, work: Array, work_at: int, work_rows: int, plane: int, image: int,
    n0: int, kind0: int, even0: int, root0: int, step0: int,
    n1: int, kind1: int, even1: int, root1: int, step1: int,
    n2: int, kind2: int, even2: int, root2: int, step2: int,
) -> None:  # fmt: skip
    """table[plane, frequency] += value * factors of the shifts; imaginary parts are `image` further on (0: there are none)."""
    value = values[values_at]
    if step2 != 0:
        for k in range(n2):
            work[work_at + k] = factor_cosine(roots, roots_at + root2, n2, kind2, even2, step2, k)
            work[work_at + n2 + k] = factor_sine(roots, roots_at + root2, n2, kind2, even2, step2, k)
    for i in range(n0):
        c0 = factor_cosine(roots, roots_at + root0, n0, kind0, even0, step0, i)
        d0 = factor_sine(roots, roots_at + root0, n0, kind0, even0, step0, i)
        for j in range(n1):
            c1 = factor_cosine(roots, roots_at + root1, n1, kind1, even1, step1, j)
            d1 = factor_sine(roots, roots_at + root1, n1, kind1, even1, step1, j)
            row_add(
                table, table_at + plane + (i * n1 + j) * n2, image, work, work_at, n2, step2,
                value * (c0 * c1 - d0 * d1), value * (c0 * d1 + d0 * c1),
            )  # fmt: skip


def row_add(table: Array, at: int, image: int, work: Array, work_at: int, n: int, step: int, c: float, d: float) -> None:
    """table[k] += (c + i d) * factor[k], the factors (1 without a step) in `work`, eight at a time."""
    for k in range(0, n, 8):
        u = keep8(load8(table, at + k), 0, c)
        v = keep8(load8(table, at + k), 0, d)
        if step != 0:
            r, i = load8(work, work_at + k), load8(work, work_at + n + k)
            u, v = r * c - i * d, r * d + i * c
        store_part8(table, at + k, load8(table, at + k) + u, n - k)
        if image != 0:
            store_part8(table, at + image + k, load8(table, at + image + k) + v, n - k)


def modes_invert(
    table: Array, table_at: int, table_rows: int, start: int, points: int, count: int, image: int, scale: int, me: int, threads: int
) -> None:
    """Every matrix (`count` x `count`, entries `points` apart, real and imaginary) becomes its inverse, divided by `scale`.

    Gauss and Jordan's elimination with the largest pivot of the column, exchanges of rows undone in the columns of the inverse.
    """
    table_at += start
    if count > 1:
        for q in range(share(points, me, threads), share(points, me + 1, threads)):
            invert_one(table, table_at + q, points, count, image, scale)
        return
    blocks = (points + 7) // 8
    for index in range(share(blocks, me, threads), share(blocks, me + 1, threads)):
        q = 8 * index
        r = load8(table, table_at + q) * float(scale)
        if image == 0:
            store_part8(table, table_at + q, 1.0 / r, points - q)
            continue
        i = load8(table, table_at + q + image) * float(scale)
        size = r * r + i * i
        store_part8(table, table_at + q, r / size, points - q)
        store_part8(table, table_at + q + image, -i / size, points - q)


def invert_one(table: Array, q: int, points: int, count: int, image: int, scale: int) -> None:
    """One matrix, entry (k, l) at q + (k*count + l)*hop."""
    hop = points if image == 0 else 2 * points
    exchanges = 0
    for k in range(count):
        best = pivot_row(table, q, hop, k, count, image)
        exchanges = exchanges * count + best
        for column in range(count):
            swap_places(table, q + (k * count + column) * hop, q + (best * count + column) * hop, image)
        diagonal = q + (k * count + k) * hop
        pr, pi = table[diagonal], imaginary(table, diagonal, image)
        size = pr * pr + pi * pi
        set_place(table, diagonal, image, 1.0, 0.0)
        for column in range(count):
            a = q + (k * count + column) * hop
            r, i = table[a], imaginary(table, a, image)
            set_place(table, a, image, (r * pr + i * pi) / size, (i * pr - r * pi) / size)
        for row in range(count):
            if row != k:
                eliminate(table, q + row * count * hop, q + k * count * hop, hop, k, count, image)
    for back in range(count):
        best = exchanges % count
        exchanges //= count
        for row in range(count):
            swap_places(table, q + (row * count + count - 1 - back) * hop, q + (row * count + best) * hop, image)
    for e in range(count * count):
        a = q + e * hop
        set_place(table, a, image, table[a] / scale, imaginary(table, a, image) / scale)


def imaginary(table: Array, a: int, image: int) -> float:
    """Imaginary part of the entry at a; 0 where there are none."""
    value: float = table[a + image] if image != 0 else 0.0
    return value


def set_place(table: Array, a: int, image: int, r: float, i: float) -> None:
    """table[a] = r + i"""
    table[a] = r
    if image != 0:
        table[a + image] = i


def swap_places(table: Array, a: int, b: int, image: int) -> None:
    """Exchange two entries."""
    table[a], table[b] = table[b], table[a]
    if image != 0:
        table[a + image], table[b + image] = table[b + image], table[a + image]


def pivot_row(table: Array, q: int, hop: int, k: int, count: int, image: int) -> int:
    """The row from k on with the largest entry in column k."""
    best, largest = k, -1.0
    for row in range(k, count):
        e = q + (row * count + k) * hop
        size = table[e] * table[e] + imaginary(table, e, image) * imaginary(table, e, image)
        if size > largest:
            best, largest = row, size
    return best


def eliminate(table: Array, own: int, pivot: int, hop: int, k: int, count: int, image: int) -> None:
    """The row at `own` less its entry k times the row at `pivot`; the entry becomes that of the inverse."""
    e = own + k * hop
    fr, fi = table[e], imaginary(table, e, image)
    set_place(table, e, image, 0.0, 0.0)
    for column in range(count):
        a, b = own + column * hop, pivot + column * hop
        r, i = table[b], imaginary(table, b, image)
        set_place(table, a, image, table[a] - (fr * r - fi * i), imaginary(table, a, image) - (fr * i + fi * r))


def modes_apply(
    vector: Array, vector_at: int, vector_rows: int, work: Array, work_at: int, work_rows: int, table: Array, table_at: int, table_rows: int,
    start: int, points: int, ring: int, count: int, image: int, directed: int, me: int, threads: int,
) -> None:  # fmt: skip
    """x = matrix * x at the frequencies of `count` unknowns (planes `points` apart, two of each if `image`).

    `ring`: points of the first axis, if it is a ring whose frequencies up to the middle count (else 0).
    """
    table_at += start
    used = used_lines(points, ring)
    work_at = own_memory(work_at, work_rows, me)
    planes = points if image == 0 else 2 * points
    hop = points if directed == 0 else 2 * points
    parts = 1 if image == 0 else 2
    blocks = (used + 7) // 8
    for index in range(share(blocks, me, threads), share(blocks, me + 1, threads)):
        q = 8 * index
        left = used - q
        for k in range(count):
            for part in range(parts):
                store8(work, work_at + 8 * (2 * k + part), load8(vector, vector_at + k * planes + part * image + q))
        for k in range(count):
            r = keep8(load8(work, work_at), 0, 0.0)
            i = r
            for col in range(count):
                a = table_at + (k * count + col) * hop + q
                m = load8(table, a)
                u = load8(work, work_at + 16 * col)
                r = r + m * u
                if image != 0:
                    v = load8(work, work_at + 16 * col + 8)
                    i = i + m * v
                    if directed != 0:
                        w = load8(table, a + points)
                        r = r - w * v
                        i = i + w * u
            store_part8(vector, vector_at + k * planes + q, r, left)
            if image != 0:
                store_part8(vector, vector_at + k * planes + image + q, i, left)


# band matrices along one axis, eight lines of frequencies at a time


def used_lines(lines: int, ring: int) -> int:
    """Lines that count of those whose first axis is a ring (0: all)."""
    return lines if ring == 0 else lines // ring * (ring // 2 + 1)


def lines_add(
    table: Array, table_at: int, table_rows: int, values: Array, values_at: int, values_rows: int,
    roots: Array, roots_at: int, roots_rows: int, work: Array, work_at: int, work_rows: int,
    same: int, scale: int, start: int, lower: int, upper: int, offset: int, outer: int, n: int, inner: int, ring: int,
    size0: int, kind0: int, root0: int, step0: int,
    size1: int, kind1: int, root1: int, step1: int,
) -> None:  # fmt: skip
    """A[i, i + offset] += value[i] * factors of the shifts * scale, of every line; the two other axes have sizes size0 and size1.

    `ring`: points of the first of them, if it is a ring whose frequencies up to the middle count (else 0).
    """
    across = 8 * (3 * lower + upper + 1)
    inside, outside = used_lines(inner, ring) if outer == 1 else inner, used_lines(outer, ring) if outer > 1 else outer
    width = (inside + 7) // 8 * 8
    place = table_at + start
    for first in range(0, outside if inner == 1 else outside * width, 8):
        for w in range(8):
            line = first + w
            o, i = (line, 0) if inner == 1 else (line // width, min(line % width, inside - 1))
            index = min(o, outside - 1) * inner + i
            c0 = factor_cosine(roots, roots_at + root0, size0, kind0, 1, step0, index // size1)
            c1 = factor_cosine(roots, roots_at + root1, size1, kind1, 1, step1, index % size1)
            work[work_at + w] = c0 * c1 * scale
        factor = load8(work, work_at)
        for row in range(max(0, -offset), min(n, n - offset)):
            at = place + row * across + (lower + offset) * 8
            store8(table, at, load8(table, at) + factor * values[values_at + (0 if same != 0 else row)])
        place += n * across


def lines_factor(
    table: Array, table_at: int, table_rows: int, start: int,
    lower: int, upper: int, outer: int, n: int, inner: int, ring: int, me: int, threads: int,
) -> None:  # fmt: skip
    """Factors of the band matrices of all blocks of eight lines, in place; inverse pivots on the diagonal."""
    inside, outside = used_lines(inner, ring) if outer == 1 else inner, used_lines(outer, ring) if outer > 1 else outer
    blocks = (outside + 7) // 8 if inner == 1 else outside * ((inside + 7) // 8)
    across = 8 * (3 * lower + upper + 1)
    reach = lower + upper
    marks = 8 * (2 * lower + upper + 1)
    for b in range(share(blocks, me, threads), share(blocks, me + 1, threads)):
        first = table_at + start + b * n * across
        for k in range(n):
            top = first + k * across + 8 * lower
            last = min(reach, n - 1 - k) + 1
            for r in range(1, min(lower, n - 1 - k) + 1):
                other = first + (k + r) * across + 8 * (lower - r)
                p, e = load8(table, top), load8(table, other)
                swap = magnitude(e) > magnitude(p)
                store8(table, first + k * across + marks + 8 * (r - 1), choose(swap, keep8(p, 0, 1.0), keep8(p, 0, 0.0)))
                factor = choose(swap, p, e) / choose(swap, e, p)
                store8(table, top, choose(swap, e, p))
                store8(table, other, factor)
                for j in range(1, last):
                    p, e = load8(table, top + 8 * j), load8(table, other + 8 * j)
                    above = choose(swap, e, p)
                    store8(table, top + 8 * j, above)
                    store8(table, other + 8 * j, choose(swap, p, e) - factor * above)
            store8(table, top, 1.0 / load8(table, top))


def lines_solve(
    vector: Array, vector_at: int, vector_rows: int, work: Array, work_at: int, work_rows: int, table: Array, table_at: int, table_rows: int,
    plane: int, start: int, lower: int, upper: int, outer: int, n: int, inner: int, ring: int, me: int, threads: int,
) -> None:  # fmt: skip
    """Solve along the middle axis of an array (outer, n, inner), from `plane` on, with the factors of `lines_factor`."""
    vector_at += plane
    inside, outside = used_lines(inner, ring) if outer == 1 else inner, used_lines(outer, ring) if outer > 1 else outer
    work_at = own_memory(work_at, work_rows, me)
    size = n * 8 * (3 * lower + upper + 1)
    across = (inside + 7) // 8
    blocks = (outside + 7) // 8 if inner == 1 else outside * across
    for index in range(share(blocks, me, threads), share(blocks, me + 1, threads)):
        place = table_at + start + index * size
        if inner > 1:
            w = index % across * 8
            solve_block(vector, vector_at + index // across * n * inner + w, inner, inside - w, table, place, lower, upper, n)
            continue
        line = 8 * index
        for w in range(8):
            base = vector_at + min(line + w, outside - 1) * n
            for i in range(n):
                work[work_at + 8 * i + w] = vector[base + i]
        solve_block(work, work_at, 8, 8, table, place, lower, upper, n)
        for w in range(min(8, outside - line)):
            base = vector_at + (line + w) * n
            for i in range(n):
                vector[base + i] = work[work_at + 8 * i + w]


def solve_block(data: Array, at: int, stride: int, lanes: int, table: Array, place: int, lower: int, upper: int, n: int) -> None:
    """Forward with the exchanges, then backward; the first `lanes` of eight lines are written."""
    across = 8 * (3 * lower + upper + 1)
    marks = 8 * (2 * lower + upper + 1)
    for k in range(n):
        x = load8(data, at + stride * k)
        for r in range(1, min(lower, n - 1 - k) + 1):
            y = load8(data, at + stride * (k + r))
            swap = load8(table, place + k * across + marks + 8 * (r - 1)) > 0.5
            above = choose(swap, y, x)
            y = choose(swap, x, y) - load8(table, place + (k + r) * across + 8 * (lower - r)) * above
            store_part8(data, at + stride * (k + r), y, lanes)
            x = above
        store_part8(data, at + stride * k, x, lanes)
    for back in range(n):
        k = n - 1 - back
        top = place + k * across + 8 * lower
        x = load8(data, at + stride * k)
        for j in range(1, min(lower + upper, n - 1 - k) + 1):
            x = x - load8(table, top + 8 * j) * load8(data, at + stride * (k + j))
        store_part8(data, at + stride * k, x * load8(table, top), lanes)


SOURCES = (
    table_clear, used_lines, frequency, factor_cosine, factor_sine, row_add, modes_add, imaginary, set_place, swap_places, pivot_row, eliminate,
    invert_one, modes_invert, modes_apply,
    lines_add, lines_factor, solve_block, lines_solve,
)  # fmt: skip
