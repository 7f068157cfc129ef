"""Fourier, sine and cosine transforms along one axis of a dense array, as routines that generated modules call.

Written like linear_solve.py (plain functions of flat memory; `routines.py` makes a module of them), with explicit vectors: eight
lines of the array are transformed at once, lane by lane, so that every load, product and store is one of a whole vector. A line
of complex numbers takes two vectors a point; real lines share them two by two, one as the real and one as the imaginary part.

The Fourier transform is Stockham's (no reordering), with passes of radix 4, 2, 3 and of every odd prime below 80; lengths with a
larger prime factor go through a convolution of a longer one (Bluestein). Sine and cosine transforms are Fourier transforms of the line continued
to a whole period: exact in the sense that no recurrence runs over a line.

Kinds of an axis of n points (`dsl/ops/spectral.py` has their meaning): 1 ring, 2 sine, 3 cosine, 4 sine then cosine, 5 cosine then sine.
Sources: C. Van Loan, Computational Frameworks for the Fast Fourier Transform (SIAM 1992), sections 1.7, 4.2, 4.4.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def load8(array: Array, at: int) -> Array:
    """Eight neighbours, zeros behind the end; in compiled code one vector (backends/vectors.py), whatever lies there."""
    found = np.zeros(8, array.dtype)
    found[: len(array) - at] = array[at : at + 8]
    return found


def store8(array: Array, at: int, value: Array) -> None:
    array[at : at + 8] = value


def store_part8(array: Array, at: int, value: Array, count: int) -> None:
    """The first `count` of eight."""
    array[at : at + min(count, 8)] = value[:count]


def keep8(value: Array, count: int, other: float) -> Array:
    """The first `count` of eight, `other` in the rest."""
    return np.where(np.arange(8) < count, value, other)


def period(n: int, kind: int) -> int:
    """Length of the Fourier transform that a line of n points becomes."""
    if kind == 1:
        return n
    if kind == 2:
        return 2 * (n + 1)
    if kind == 3:
        return 2 * (n - 1)
    return 4 * n


def next_radix(n: int) -> int:
    """The radix of the next pass of a transform of length n: 4, 2, 3, 5, or its least prime factor; 0 if that is too large."""
    if n % 4 == 0:
        return 4
    if n % 2 == 0:
        return 2
    for r in range(3, 80, 2):
        if n % r == 0:
            return r
    return 0


def padded(n: int) -> int:
    """n if it has small prime factors only, else the length of Bluestein's convolution: the least from 2n - 1 on with factors 2, 3, 5."""
    rest = n
    while rest > 1:
        r = next_radix(rest)
        if r == 0:
            break
        rest //= r
    if rest <= 1:
        return n
    size = 2 * n - 1
    while True:
        rest = size
        for r in (2, 3, 5):
            while rest % r == 0:
                rest //= r
        if rest == 1:
            return size
        size += 1


def circle_fill(roots: Array, at: int, n: int) -> None:
    """cos(2 pi j/n) for j < n, then sin: computed in the first octant, so that symmetric ones have the same bits."""
    for j in range(n):
        turn = 8 * j
        octant = turn // n
        part = turn - octant * n
        if octant % 2 == 1:
            part = n - part
        angle = 2.0 * math.pi * part / (8.0 * n)
        c, s = math.cos(angle), math.sin(angle)
        if part == n:
            c = s = math.sqrt(0.5)
        if octant == 1 or octant == 2 or octant == 5 or octant == 6:
            c, s = s, c
        if 2 <= octant <= 5:
            c = -c
        if octant >= 4:
            s = -s
        roots[at + j] = c
        roots[at + n + j] = s


def roots_fill(
    roots: Array, roots_at: int, roots_rows: int, work: Array, work_at: int, work_rows: int, start: int, n: int, kind: int
) -> None:
    """Tables of an axis, from `start` on: the circle of its period p; for Bluestein also that of the padded length, the chirp, its transform."""
    roots_at += start
    p = period(n, kind)
    circle_fill(roots, roots_at, p)
    size = padded(p)
    if size == p:
        return
    circle, chirp = roots_at + 2 * p, roots_at + 2 * p + 2 * size
    circle_fill(roots, circle, size)
    for j in range(p):
        angle = math.pi * (j * j % (2 * p)) / p
        roots[chirp + j] = math.cos(angle)
        roots[chirp + p + j] = math.sin(angle)
    for j in range(16 * size):
        work[work_at + j] = 0.0
    for j in range(p):
        for w in range(8):
            for place in (j, (size - j) % size):
                work[work_at + 16 * place + w] = roots[chirp + j]
                work[work_at + 16 * place + 8 + w] = roots[chirp + p + j]
    done = passes(work, work_at, work_at + 16 * size, size, roots, circle)
    image = chirp + 2 * p
    for j in range(size):
        roots[image + j] = work[done + 16 * j] / size
        roots[image + size + j] = work[done + 16 * j + 8] / size


def pass2(work: Array, x: int, y: int, m: int, s: int, roots: Array, circle: int, n: int) -> None:
    """y[q + s(2p + k)] = w^(pk) sum_j x[q + s(p + mj)] (-1)^(jk), w the root of unity of order 2m."""
    for p in range(m):
        c, d = roots[circle + s * p], roots[circle + n + s * p]
        for q in range(s):
            a, b = x + 16 * (q + s * p), x + 16 * (q + s * (p + m))
            r0, i0, r1, i1 = load8(work, a), load8(work, a + 8), load8(work, b), load8(work, b + 8)
            to = y + 16 * (q + s * 2 * p)
            store8(work, to, r0 + r1)
            store8(work, to + 8, i0 + i1)
            r0, i0 = r0 - r1, i0 - i1
            store8(work, to + 16 * s, r0 * c + i0 * d)
            store8(work, to + 16 * s + 8, i0 * c - r0 * d)


def pass3(work: Array, x: int, y: int, m: int, s: int, roots: Array, circle: int, n: int) -> None:
    """The pass of radix 3."""
    half = 0.8660254037844386
    for p in range(m):
        c1, d1 = roots[circle + s * p], roots[circle + n + s * p]
        c2, d2 = roots[circle + 2 * s * p], roots[circle + n + 2 * s * p]
        for q in range(s):
            a = x + 16 * (q + s * p)
            b, c = a + 16 * s * m, a + 32 * s * m
            r0, i0, r1, i1 = load8(work, a), load8(work, a + 8), load8(work, b), load8(work, b + 8)
            r2, i2 = load8(work, c), load8(work, c + 8)
            tr, ti = r1 + r2, i1 + i2
            ur, ui = (i1 - i2) * half, (r2 - r1) * half
            to = y + 16 * (q + s * 3 * p)
            store8(work, to, r0 + tr)
            store8(work, to + 8, i0 + ti)
            r0, i0 = r0 - tr * 0.5, i0 - ti * 0.5
            r1, i1, r2, i2 = r0 + ur, i0 + ui, r0 - ur, i0 - ui
            store8(work, to + 16 * s, r1 * c1 + i1 * d1)
            store8(work, to + 16 * s + 8, i1 * c1 - r1 * d1)
            store8(work, to + 32 * s, r2 * c2 + i2 * d2)
            store8(work, to + 32 * s + 8, i2 * c2 - r2 * d2)


def pass4(work: Array, x: int, y: int, m: int, s: int, roots: Array, circle: int, n: int) -> None:
    """The pass of radix 4."""
    for p in range(m):
        c1, d1 = roots[circle + s * p], roots[circle + n + s * p]
        c2, d2 = roots[circle + 2 * s * p], roots[circle + n + 2 * s * p]
        c3, d3 = roots[circle + 3 * s * p], roots[circle + n + 3 * s * p]
        for q in range(s):
            a = x + 16 * (q + s * p)
            b = a + 16 * s * m
            c = b + 16 * s * m
            d = c + 16 * s * m
            r0, i0, r1, i1 = load8(work, a), load8(work, a + 8), load8(work, b), load8(work, b + 8)
            r2, i2, r3, i3 = load8(work, c), load8(work, c + 8), load8(work, d), load8(work, d + 8)
            sr, si, tr, ti = r0 + r2, i0 + i2, r0 - r2, i0 - i2
            ur, ui, vr, vi = r1 + r3, i1 + i3, i1 - i3, r3 - r1
            to = y + 16 * (q + s * 4 * p)
            store8(work, to, sr + ur)
            store8(work, to + 8, si + ui)
            r1, i1, r2, i2, r3, i3 = tr + vr, ti + vi, sr - ur, si - ui, tr - vr, ti - vi
            store8(work, to + 16 * s, r1 * c1 + i1 * d1)
            store8(work, to + 16 * s + 8, i1 * c1 - r1 * d1)
            store8(work, to + 32 * s, r2 * c2 + i2 * d2)
            store8(work, to + 32 * s + 8, i2 * c2 - r2 * d2)
            store8(work, to + 48 * s, r3 * c3 + i3 * d3)
            store8(work, to + 48 * s + 8, i3 * c3 - r3 * d3)


def pass_odd(work: Array, x: int, y: int, m: int, s: int, roots: Array, circle: int, n: int, r: int) -> None:
    """The pass of an odd radix r: r^2 products, conjugate pairs of outputs together."""
    step = n // r
    for p in range(m):
        for q in range(s):
            a, to = x + 16 * (q + s * p), y + 16 * (q + s * r * p)
            hop = 16 * s * m
            r0, i0 = load8(work, a), load8(work, a + 8)
            tr, ti = r0, i0
            for j in range(1, r):
                tr = tr + load8(work, a + j * hop)
                ti = ti + load8(work, a + j * hop + 8)
            store8(work, to, tr)
            store8(work, to + 8, ti)
            for k in range(1, (r + 1) // 2):
                er, ei = r0, i0
                fr, fi = keep8(r0, 0, 0.0), keep8(i0, 0, 0.0)
                for j in range(1, (r + 1) // 2):
                    c, d = roots[circle + step * (j * k % r)], roots[circle + n + step * (j * k % r)]
                    b, e = a + j * hop, a + (r - j) * hop
                    br, bi, cr, ci = load8(work, b), load8(work, b + 8), load8(work, e), load8(work, e + 8)
                    er, ei = er + (br + cr) * c, ei + (bi + ci) * c
                    fr, fi = fr + (bi - ci) * d, fi + (cr - br) * d
                c, d = roots[circle + s * p * k], roots[circle + n + s * p * k]
                br, bi = er + fr, ei + fi
                store8(work, to + 16 * s * k, br * c + bi * d)
                store8(work, to + 16 * s * k + 8, bi * c - br * d)
                c, d = roots[circle + s * p * (r - k)], roots[circle + n + s * p * (r - k)]
                br, bi = er - fr, ei - fi
                store8(work, to + 16 * s * (r - k), br * c + bi * d)
                store8(work, to + 16 * s * (r - k) + 8, bi * c - br * d)


def passes(work: Array, x: int, y: int, n: int, roots: Array, circle: int) -> int:
    """sum_j x[j] e^(-2 pi i j k/n) of eight lines with small factors; the place of the result, x or y."""
    rest, s = n, 1
    while rest > 1:
        r = next_radix(rest)
        m = rest // r
        if r == 4:
            pass4(work, x, y, m, s, roots, circle, n)
        elif r == 2:
            pass2(work, x, y, m, s, roots, circle, n)
        elif r == 3:
            pass3(work, x, y, m, s, roots, circle, n)
        else:
            pass_odd(work, x, y, m, s, roots, circle, n, r)
        x, y = y, x
        rest, s = m, s * r
    return x


def fourier(work: Array, x: int, p: int, roots: Array, roots_at: int) -> int:
    """The Fourier transform of length p of eight lines at x; the place of the result."""
    size = padded(p)
    y = x + 16 * size
    if size == p:
        return passes(work, x, y, p, roots, roots_at)
    circle, chirp = roots_at + 2 * p, roots_at + 2 * p + 2 * size
    image = chirp + 2 * p
    for j in range(p):
        c, d = roots[chirp + j], roots[chirp + p + j]
        r, i = load8(work, x + 16 * j), load8(work, x + 16 * j + 8)
        store8(work, x + 16 * j, r * c + i * d)
        store8(work, x + 16 * j + 8, i * c - r * d)
    for j in range(p, size):
        r = keep8(load8(work, x), 0, 0.0)
        store8(work, x + 16 * j, r)
        store8(work, x + 16 * j + 8, r)
    z = passes(work, x, y, size, roots, circle)
    for j in range(size):
        c, d = roots[image + j], roots[image + size + j]
        r, i = load8(work, z + 16 * j), load8(work, z + 16 * j + 8)
        # parts exchanged: the next transform is the inverse one
        store8(work, z + 16 * j, i * c + r * d)
        store8(work, z + 16 * j + 8, r * c - i * d)
    z = passes(work, z, x + y - z, size, roots, circle)
    for j in range(p):
        c, d = roots[chirp + j], roots[chirp + p + j]
        i, r = load8(work, z + 16 * j), load8(work, z + 16 * j + 8)
        store8(work, z + 16 * j, r * c + i * d)
        store8(work, z + 16 * j + 8, i * c - r * d)
    return z


# one block of lines: points at a + stride*i (8 lanes), of the second vector at b + stride*i


def fill(work: Array, x: int, data: Array, a: int, b: int, stride: int, n: int, kind: int, backward: int, lanes_b: int) -> None:
    """The two vectors of every point, continued to a whole period at x. What lies behind the lines of the second must not reach the first."""
    p = period(n, kind)
    if kind == 1:
        for i in range(n):
            store8(work, x + 16 * i, load8(data, a + stride * i))
            store8(work, x + 16 * i + 8, keep8(load8(data, b + stride * i), lanes_b, 0.0))
        return
    nothing = keep8(load8(data, a), 0, 0.0)
    if kind >= 4 and backward != 0:
        for i in range(2 * n):
            store8(work, x + 32 * i, nothing)
            store8(work, x + 32 * i + 8, nothing)
    elif kind != 3:
        for i in range(0, p, p // 2):
            store8(work, x + 16 * i, nothing)
            store8(work, x + 16 * i + 8, nothing)
    for i in range(n):
        u, v = load8(data, a + stride * i), keep8(load8(data, b + stride * i), lanes_b, 0.0)
        j = place_of(i, n, kind, backward)
        store8(work, x + 16 * j, u)
        store8(work, x + 16 * j + 8, v)
        if kind >= 4 and backward == 0:
            store8(work, x + 16 * (2 * n - j), u)
            store8(work, x + 16 * (2 * n - j) + 8, v)
            store8(work, x + 16 * (2 * n + j), -u)
            store8(work, x + 16 * (2 * n + j) + 8, -v)
        if kind == 3:
            store8(work, x + 16 * ((p - j) % p), u)
            store8(work, x + 16 * ((p - j) % p) + 8, v)
        else:
            store8(work, x + 16 * (p - j), -u)
            store8(work, x + 16 * (p - j) + 8, -v)


def place_of(i: int, n: int, kind: int, backward: int) -> int:
    """Where point i (backward: frequency i) of a sine or cosine transform stands in its period."""
    if kind == 2:
        return i + 1
    if kind == 3:
        return i
    if backward != 0:
        return 2 * i + 1
    return i + 1 if kind == 4 else n - i


def drain(
    work: Array, z: int, data: Array, a: int, b: int, stride: int, n: int, kind: int, backward: int, lanes_a: int, lanes_b: int
) -> None:
    """Frequencies (backward: points) of a transform at z into the array."""
    for i in range(n):
        j = i if kind == 1 else place_of(i, n, kind, 1 - backward)
        u, v = load8(work, z + 16 * j), load8(work, z + 16 * j + 8)
        if kind == 2 or kind >= 4:
            u, v = -v, u
        store_part8(data, a + stride * i, u, lanes_a)
        store_part8(data, b + stride * i, v, lanes_b)


def halve(work: Array, z: int, data: Array, a: int, b: int, image: int, stride: int, n: int, lanes_a: int, lanes_b: int) -> None:
    """Frequencies up to n//2 of the real lines a and b, transformed together: real parts in place, imaginary ones at + image."""
    for k in range(n // 2 + 1):
        m = (n - k) % n
        r, i, s, t = load8(work, z + 16 * k), load8(work, z + 16 * k + 8), load8(work, z + 16 * m), load8(work, z + 16 * m + 8)
        store_part8(data, a + stride * k, (r + s) * 0.5, lanes_a)
        store_part8(data, a + image + stride * k, (i - t) * 0.5, lanes_a)
        store_part8(data, b + stride * k, (i + t) * 0.5, lanes_b)
        store_part8(data, b + image + stride * k, (s - r) * 0.5, lanes_b)


def join(work: Array, x: int, data: Array, a: int, b: int, image: int, stride: int, n: int, lanes_b: int) -> None:
    """What `halve` takes apart, parts exchanged: its transform is the inverse one."""
    for k in range(n // 2 + 1):
        r, i = load8(data, a + stride * k), load8(data, a + image + stride * k)
        s, t = keep8(load8(data, b + stride * k), lanes_b, 0.0), keep8(load8(data, b + image + stride * k), lanes_b, 0.0)
        if 2 * k == n or k == 0:
            i, t = keep8(i, 0, 0.0), keep8(t, 0, 0.0)
        m = (n - k) % n
        store8(work, x + 16 * m, s - i)
        store8(work, x + 16 * m + 8, r + t)
        store8(work, x + 16 * k, s + i)
        store8(work, x + 16 * k + 8, r - t)


def block(
    work: Array, x: int, roots: Array, roots_at: int, data: Array, a: int, b: int, image: int,
    stride: int, n: int, kind: int, half: int, backward: int, lanes_a: int, lanes_b: int,
) -> None:  # fmt: skip
    """Transform one block. `half`: a ring of real points; b is then the second set of lines, image the distance of imaginary parts."""
    if half != 0 and backward != 0:
        join(work, x, data, a, b, image, stride, n, lanes_b)
    elif kind == 1 and backward != 0:
        fill(work, x, data, b, a, stride, n, kind, backward, 8)
    else:
        fill(work, x, data, a, b, stride, n, kind, backward, lanes_b)
    z = fourier(work, x, period(n, kind), roots, roots_at)
    if half != 0 and backward == 0:
        halve(work, z, data, a, b, image, stride, n, lanes_a, lanes_b)
    elif kind == 1 and backward != 0:
        drain(work, z, data, b, a, stride, n, kind, backward, lanes_b, lanes_a)
    else:
        drain(work, z, data, a, b, stride, n, kind, backward, lanes_a, lanes_b)


def transform(
    vector: Array, vector_at: int, vector_rows: int, work: Array, work_at: int, work_rows: int, roots: Array, roots_at: int, roots_rows: int,
    place: int, start: int, image: int, outer: int, n: int, inner: int, ring: int, kind: int, half: int, backward: int,
    me: int, threads: int,
) -> None:  # fmt: skip
    """Transform, in place, the middle axis of an array (outer, n, inner); no factor is divided out, forth and back multiply by the period.

    place  where the array begins, start: where the tables of the axis do
    image  distance of the imaginary parts, 0 if there are none (yet: `half` makes them, frequencies 0..n//2 remain)
    ring   points of the first axis, if it is a ring of which frequencies up to the middle are left (else 0)
    """
    vector_at += place
    roots_at += start
    if ring != 0:
        outer = outer // ring * (ring // 2 + 1)
    pairs = image == 0 or half != 0
    width = 16 if pairs else 8
    lines = outer * inner
    work_at = own_memory(work_at, work_rows, me)
    if inner >= 8:
        across = (inner + width - 1) // width
        for index in range(share(outer * across, me, threads), share(outer * across, me + 1, threads)):
            w = index % across * width
            a = vector_at + index // across * n * inner + w
            left = inner - w
            b = a + 8 if pairs else a + image
            rest = left - 8 if pairs else left
            if rest <= 0:
                b, rest = a, 0
            block(work, work_at, roots, roots_at, vector, a, b, image, inner, n, kind, half, backward, left, rest)
        return
    stage = work_at + 32 * padded(period(n, kind))
    across = (lines + width - 1) // width
    for index in range(share(across, me, threads), share(across, me + 1, threads)):
        line = index * width
        for w in range(width):
            at = min(line + w, lines - 1)
            lane = stage + (w if w < 8 else w + 8)
            take(vector, vector_at + at // inner * n * inner + at % inner, inner, work, lane, 32, image, 8, n)
        second = stage + 16 if pairs else stage + 8
        block(work, work_at, roots, roots_at, work, stage, second, 8, 32, n, kind, half, backward, 8, 8)
        for w in range(min(width, lines - line)):
            at = line + w
            lane = stage + (w if w < 8 else w + 8)
            take(work, lane, 32, vector, vector_at + at // inner * n * inner + at % inner, inner, 8, image, n)


def share(count: int, me: int, threads: int) -> int:
    """Where the part of a thread begins; of many threads only the first eight work, each in memory of its own."""
    team = min(threads, 8)
    return count * min(me, team) // team


def own_memory(work_at: int, work_rows: int, me: int) -> int:
    """Where the working memory of a thread begins."""
    return work_at + work_rows // 8 * min(me, 7)


def take(source: Array, a: int, hop: int, target: Array, b: int, step: int, image: int, other: int, n: int) -> None:
    """One line; imaginary parts are `image` further on in the source, `other` in the target (0: there are none)."""
    for i in range(n):
        target[b + step * i] = source[a + hop * i]
    if image != 0 and other != 0:
        for i in range(n):
            target[b + other + step * i] = source[a + image + hop * i]


SOURCES = (
    period, next_radix, padded, circle_fill, pass2, pass3, pass4, pass_odd, passes, roots_fill, fourier,
    place_of, fill, drain, halve, join, block, take, share, own_memory, transform,
)  # fmt: skip
