"""Order and stability of every method, derived from its coefficients."""

import itertools

import numpy as np
import pytest
from scipy.optimize import brentq

from ricci.lowering.integrate import tableaux as tb


def trees(order):
    """Rooted trees with `order` vertices, a tree being the sorted tuple of its branches."""
    if order == 1:
        return [()]
    found = set()
    for parts in partitions(order - 1):
        for branches in itertools.product(*(trees(p) for p in parts)):
            found.add(tuple(sorted(branches)))
    return sorted(found)


def partitions(n, largest=None):
    largest = largest or n
    if n == 0:
        yield ()
    for first in range(min(n, largest), 0, -1):
        for rest in partitions(n - first, first):
            yield (first, *rest)


def vertices(tree):
    return 1 + sum(vertices(b) for b in tree)


def density(tree):
    return vertices(tree) * np.prod([density(b) for b in tree]) if tree else 1


def elementary_weight(tree, A, B):
    """Weight of the stages under `tree`: vertices with one branch use B (= A + Gamma for Rosenbrock), others A."""
    s = len(A)
    result = np.ones(s)
    for branch in tree:
        inner = elementary_weight(branch, A, B)
        result = result * ((B if len(tree) == 1 else A) @ inner)
    return result


def order_of(weights, A, B, highest=6, tolerance=1e-11):
    for order in range(1, highest + 1):
        for tree in trees(order):
            if abs(weights @ elementary_weight(tree, A, B) - 1 / density(tree)) > tolerance:
                return order - 1
    return highest


def square(rows, s):
    out = np.zeros((s, s))
    for i, row in enumerate(rows):
        out[i, : len(row)] = [float(x) for x in row]
    return out


def vector(row):
    return np.array([float(x) for x in row])


def rosenbrock_matrices(t):
    """(A, Gamma, b, b - error) of the classical form, from U = Gamma k: A_classical = a Gamma, c = 1/gamma I - Gamma^-1."""
    s = t.stages
    G = np.linalg.inv(np.eye(s) / float(t.gamma) - square(t.c, s))
    return square(t.a, s) @ G, G, vector(t.m) @ G, (vector(t.m) - vector(t.error)) @ G


def test_number_of_trees():
    assert [len(trees(n)) for n in range(1, 7)] == [1, 1, 2, 4, 9, 20]


@pytest.mark.parametrize("t", tb.EXPLICIT + tb.DIAGONALLY_IMPLICIT, ids=lambda t: t.name)
def test_runge_kutta_order(t):
    A = square(t.a, t.stages)
    assert order_of(vector(t.b), A, A) == t.order
    if t.error is not None:
        assert order_of(vector(t.b) - vector(t.error), A, A) == min(t.error_order - 1 if t.order >= t.error_order else t.order + 1, 6)


@pytest.mark.parametrize("t", tb.ROSENBROCK, ids=lambda t: t.name)
def test_rosenbrock_order_and_stability(t):
    A, G, b, embedded = rosenbrock_matrices(t)
    s = t.stages
    assert np.allclose(np.diag(G), float(t.gamma))
    assert np.allclose(A @ np.ones(s), vector(t.alpha), atol=1e-12)
    assert np.allclose(G @ np.ones(s), vector(t.g), atol=1e-12)
    assert order_of(b, A, A + G) == t.order
    assert order_of(embedded, A, A + G) == t.error_order - 1
    for weights in (b, embedded):
        assert abs(1 - weights @ np.linalg.solve(A + G, np.ones(s))) < 1e-9  # R(infinity) = 0
    for y in np.logspace(-3, 6, 400):
        assert abs(stability(1j * y, A + G, b)) <= 1 + 1e-9  # A-stable


def stability(z, B, b):
    s = len(b)
    return 1 + z * b @ np.linalg.solve(np.eye(s) - z * B, np.ones(s))


@pytest.mark.parametrize("t", [tb.BACKWARD_EULER, tb.TRBDF2], ids=lambda t: t.name)
def test_l_stable(t):
    A, b = square(t.a, t.stages), vector(t.b)
    assert abs(stability(-1e7, A, b)) < 1e-6
    assert all(abs(stability(1j * y, A, b)) <= 1 + 1e-12 for y in np.logspace(-3, 6, 200))


@pytest.mark.parametrize("t", tb.EXPLICIT, ids=lambda t: t.name)
def test_stated_stability_limits(t):
    """The stated limits hold and are sharp to about one per cent (imaginary: zero means none)."""
    A, b = square(t.a, t.stages), vector(t.b)
    real, imaginary = t.stability

    def excess(z):
        return abs(stability(z, A, b)) - 1

    assert all(excess(-x) <= 1e-12 for x in np.linspace(0, real, 200))
    assert brentq(lambda x: excess(-x), real * 0.99, real * 1.02) <= real * 1.01
    if imaginary:
        assert all(excess(1j * y) <= 1e-12 for y in np.linspace(0.05, imaginary, 200))
        assert excess(1.02j * imaginary) > 0
    else:
        assert excess(0.3j) > 0


def test_first_same_as_last():
    assert [t.name for t in tb.EXPLICIT if t.first_same_as_last] == ["bs32", "dp54"]
