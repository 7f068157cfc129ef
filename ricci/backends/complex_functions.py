"""Functions of complex numbers for generated code, where numba's own raise, overflow along an axis, or lose digits.

Compiled with the kernels that call them. Values at zeros, infinities and NaN are those of numpy.
"""

from __future__ import annotations

import math

from ricci.backends.team import compiled


@compiled
def reciprocal(z: complex) -> complex:
    """1/z without overflow of |z|^2 (Smith, Algorithm 116, CACM 1962); 1/0 = inf + nan i. numba's division raises there."""
    x, y = z.real, z.imag
    if abs(x) >= abs(y):
        if x == 0 and y == 0:
            return complex(1.0 / abs(x), 0.0 / abs(x))
        ratio = y / x
        scale = 1.0 / (x + y * ratio)
        return complex(scale, -ratio * scale)
    ratio = x / y
    scale = 1.0 / (y + x * ratio)
    return complex(ratio * scale, -scale)


@compiled
def scaled(size: float, factor: float) -> float:
    """size * factor, where zero times anything is zero: the imaginary part of exp(x) stays zero when the real one overflows."""
    return factor if factor == 0 else size * factor


@compiled
def exponential(z: complex) -> complex:
    """e^z = e^x (cos y + i sin y)."""
    size = math.exp(z.real)
    if z.imag == 0:
        return complex(size, z.imag)
    return complex(scaled(math.cos(z.imag), size), scaled(math.sin(z.imag), size))


@compiled
def exponential_minus_one(z: complex) -> complex:
    """e^z - 1 = expm1(x) cos y - 2 sin(y/2)^2 + i e^x sin y, without cancellation near 0."""
    if z.imag == 0:
        return complex(math.expm1(z.real), z.imag)
    half = math.sin(0.5 * z.imag)
    return complex(math.expm1(z.real) * math.cos(z.imag) - 2.0 * half * half, scaled(math.sin(z.imag), math.exp(z.real)))


@compiled
def hyperbolic_sine(z: complex) -> complex:
    """sinh z = sinh x cos y + i cosh x sin y."""
    return complex(scaled(math.cos(z.imag), math.sinh(z.real)), scaled(math.cosh(z.real), math.sin(z.imag)))


@compiled
def hyperbolic_cosine(z: complex) -> complex:
    """cosh z = cosh x cos y + i sinh x sin y."""
    return complex(math.cosh(z.real) * math.cos(z.imag), scaled(math.sinh(z.real), math.sin(z.imag)) if z.real != 0 else z.real * z.imag)


@compiled
def sine(z: complex) -> complex:
    """sin z = -i sinh(i z)."""
    turned = hyperbolic_sine(complex(-z.imag, z.real))
    return complex(turned.imag, -turned.real)


@compiled
def cosine(z: complex) -> complex:
    """cos z = cosh(i z)."""
    return hyperbolic_cosine(complex(-z.imag, z.real))


@compiled
def power(z: complex, w: complex) -> complex:
    """z^w; 0^w is 0 where Re w > 0, 1 where w = 0, else NaN."""
    if z == 0 and w != 0:
        return complex(0.0, 0.0) if w.real > 0 else complex(math.nan, math.nan)
    return z**w
