"""Structure of tensors: Kronecker products, diagonals, low rank, traces, circulants, bands, and what is known of matrices.

Every case: found (operations fall to what an expert needs), equal to the reference for odd sizes and size 1, explained (golden).
RICCI_RENEW=1 writes the golden file anew.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from ricci import driver
from ricci.cost import TRANSFORMS, Price, operations
from ricci.dsl import build, reference
from ricci.dsl.index import Guard, Index
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Function, symbols, walk
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.egraph import optimize, optimize_function
from ricci.egraph.optimize import LEVELS, Optimization, routines_of
from ricci.egraph.pricing import NodePrice
from ricci.egraph.structure import WORDS, Facts, Structure, facts_of_word, impose
from ricci.egraph.symbolic import simplify, simplify_and_explain
from ricci.egraph.terms import Loader, new_space
from ricci.errors import RicciError, Source

GOLDEN = Path(__file__).parents[1] / "golden" / "structure.txt"
n, p, q, r, s, t, u = (Size.of(Dim(name)) for name in "npqrstu")
SMALL = [
    {"n": 5, "p": 3, "q": 2, "r": 1, "s": 4, "t": 3, "u": 5},
    {"n": 1, "p": 1, "q": 1, "r": 1, "s": 1, "t": 1, "u": 1},
    {"n": 7, "p": 1, "q": 5, "r": 3, "s": 1, "t": 2, "u": 1},
]
LARGE = {"n": 2000, "p": 20, "q": 30, "r": 10, "s": 40, "t": 15, "u": 25}


def tensor(name, kind=Kind.REAL, **axes):
    return build.symbol(name, Type(kind, axes))


def at(name):
    return Index.axis(name)


def product(*factors, **bound):
    return build.contract(factors, bound)


def identity(i, j, size=n):
    return build.indicator({i: size, j: size}, [Guard.equal(at(i), at(j))])


def kron(A, B, out):
    """kron(A, B)[m, n] = A[m div q, n div s] * B[m mod q, n mod s]; axes of A, B and of the result in order."""
    parts = {}
    for f, read in ((A, Index.div), (B, Index.mod)):
        index = {axis: read(at(name), B.axes[b]) for axis, name, b in zip(f.axes, out, B.axes, strict=True)}
        axes = {name: A.axes[a] * B.axes[b] for name, a, b in zip(out, A.axes, B.axes, strict=True)}
        parts[f] = build.reindex(f, axes, index, (), 0)
    return build.mul(parts[A], parts[B])


def circulant(c, i, j, size=n):
    """C[i, j] = c[(i - j) mod n]"""
    return build.reindex(c, {i: size, j: size}, {next(iter(c.axes)): (at(i) - at(j)).mod(size)}, (), 0)


def toeplitz(v, i, j, size=n):
    """T[i, j] = v[i - j + n - 1]"""
    return build.reindex(v, {i: size, j: size}, {next(iter(v.axes)): at(i) - at(j) + size - 1}, (), 0)


A, B, C, D = tensor("A", a=p, c=r), tensor("B", b=q, d=s), tensor("C", c=r, e=t), tensor("D", d=s, f=u)
v, w, x = tensor("v", i=n), tensor("w", j=n), tensor("x", j=n)
M, N, X = tensor("M", i=n, j=n), tensor("N", j=n, k=n), tensor("X", j=n, k=n)
K = kron(A, B, ("m", "o"))
SQUARE, OTHER_SQUARE = tensor("A", a=p, c=p), tensor("B", b=q, d=q)
KRON_SUM = build.add(kron(SQUARE, identity("b", "d", q), ("m", "o")), kron(identity("a", "c", p), OTHER_SQUARE, ("m", "o")))
BLOCKS = build.reindex(
    tensor("W", g=p, b=q, d=q), {"m": p * q, "o": p * q}, {"g": at("m").div(q), "b": at("m").mod(q), "d": at("o").mod(q)},
    [Guard.equal(at("m").div(q), at("o").div(q))], 0,
)  # fmt: skip
OUTER = build.mul(v, build.rename(v, {"i": "j"}))
LOW = product((tensor("U", i=n, r=r), {"r": "r"}), (tensor("V", j=n, r=r), {"r": "r"}), r=r)
DIAGONAL = build.mul(identity("i", "j"), v)
WINDOW = build.reindex(tensor("u", c=s, x=n), {"c": s, "x": n, "m": Size.of(3)}, {"x": at("x") + at("m") - 1}, (), 0)
BAND = build.reindex(M, M.axes, {}, [Guard(-1, at("i") - at("j"), 2)], 0)
CASES = {
    "kron(A, B) kron(C, D)": product((K, {"o": "k"}), (kron(C, D, ("o", "z")), {"o": "k"}), k=r * s),
    "kron(A, B) vec X": product((K, {"o": "k"}), (tensor("y", o=r * s), {"o": "k"}), k=r * s),
    "(A (+) B) x": product((KRON_SUM, {"o": "k"}), (tensor("y", o=p * q), {"o": "k"}), k=p * q),
    "blocks x": product((BLOCKS, {"o": "k"}), (tensor("y", o=p * q), {"o": "k"}), k=p * q),
    "tr kron(A, B)": product((kron(SQUARE, OTHER_SQUARE, ("m", "o")), {"m": "k", "o": "k"}), k=p * q),
    "kron(A, B) * kron(C, D)": build.mul(K, kron(tensor("C", a=p, c=r), tensor("D", b=q, d=s), ("m", "o"))),
    "diag(v) X": product((DIAGONAL, {"j": "l"}), (X, {"j": "l"}), l=n),
    "diag(v) diag(w)": product((DIAGONAL, {"j": "l"}), (build.mul(identity("j", "k"), w), {"j": "l"}), l=n),
    "tr(M N)": product((product((M, {"j": "l"}), (N, {"j": "l"}), l=n), {"i": "o", "k": "o"}), o=n),
    "(v w^T) x": product((build.mul(v, w), {"j": "l"}), (x, {"j": "l"}), l=n),
    "X - v (v^T X)": product((build.sub(identity("i", "j"), OUTER), {"j": "l"}), (X, {"j": "l"}), l=n),
    "(diag(v) + U V^T) x": product((build.add(DIAGONAL, LOW), {"j": "l"}), (x, {"j": "l"}), l=n),
    "band x": product((BAND, {"j": "l"}), (x, {"j": "l"}), l=n),
    "place": product((build.place(v, "j", 2, n), {"j": "l"}), (X, {"j": "l"}), l=n),
    "circulant x": product((circulant(v, "i", "j"), {"j": "l"}), (x, {"j": "l"}), l=n),
    "circulant circulant": product((circulant(v, "i", "j"), {"j": "l"}), (circulant(w, "j", "k"), {"j": "l"}), l=n),
    "circulant X": product((circulant(v, "i", "j"), {"j": "l"}), (X, {"j": "l"}), l=n),
    "toeplitz x": product((toeplitz(tensor("v", d=2 * n - 1), "i", "j"), {"j": "l"}), (x, {"j": "l"}), l=n),
    "correlation": product(
        (build.reindex(v, {"a": n, "l": n}, {"i": (at("a") + at("l")).mod(n)}, (), 0), {"l": "l"}), (x, {"j": "l"}), l=n
    ),
    "(circulant + 2 circulant) x": product(
        (build.linear([(1, circulant(v, "i", "j")), (2, circulant(tensor("b", k=n), "i", "j"))]), {"j": "l"}), (x, {"j": "l"}), l=n
    ),
    "circulant circulant x": product(
        (circulant(v, "i", "j"), {"j": "l"}), (circulant(w, "j", "k"), {"j": "l", "k": "m"}), (x, {"j": "m"}), l=n, m=n
    ),
    "tucker convolution": product((tensor("W", q=q, y=r, m=3), {}), (tensor("V", c=s, q=q), {}), (WINDOW, {}), c=s, q=q, m=Size.of(3)),
    "sum of a periodic shift": build.sub(build.sum_over(build.shift(v, "i", 1), ["i"]), build.sum_over(v, ["i"])),
}
MOST = {  # operations at LARGE that an expert needs, with a little to spare for adding up
    "kron(A, B) kron(C, D)": lambda d: 2 * d["p"] * d["r"] * d["t"] + 2 * d["q"] * d["s"] * d["u"] + d["p"] * d["q"] * d["t"] * d["u"],
    "kron(A, B) vec X": lambda d: 2 * d["r"] * d["s"] * d["q"] + 2 * d["p"] * d["r"] * d["q"],
    "(A (+) B) x": lambda d: 2 * d["p"] ** 2 * d["q"] + 2 * d["q"] ** 2 * d["p"] + d["p"] * d["q"],
    "blocks x": lambda d: 2 * d["p"] * d["q"] ** 2,
    "kron(A, B) * kron(C, D)": lambda d: d["p"] * d["r"] + d["q"] * d["s"] + d["p"] * d["q"] * d["r"] * d["s"],
    "diag(v) X": lambda d: d["n"] ** 2,
    "diag(v) diag(w)": lambda d: d["n"] ** 2 + 3 * d["n"],
    "tr(M N)": lambda d: 2 * d["n"] ** 2,
    "(v w^T) x": lambda d: 3 * d["n"],
    "X - v (v^T X)": lambda d: 4 * d["n"] ** 2,
    "(diag(v) + U V^T) x": lambda d: 4 * d["n"] * d["r"] + 2 * d["n"],
    "band x": lambda d: 6 * d["n"],
    "place": lambda d: d["n"] ** 2,
    "circulant x": lambda d: 17 * d["n"] * 11,
    "circulant circulant": lambda d: 2 * d["n"] ** 2,
    "circulant X": lambda d: 12 * d["n"] ** 2 * 11,
    "toeplitz x": lambda d: 17 * 2 * d["n"] * 12,
    "correlation": lambda d: 17 * d["n"] * 11,
    "(circulant + 2 circulant) x": lambda d: 18 * d["n"] * 11,
    "circulant circulant x": lambda d: 4 * 17 * d["n"] * 11,
    "tucker convolution": lambda d: 2 * d["n"] * d["q"] * (d["s"] + 3 * d["r"]),
    "sum of a periodic shift": lambda d: 0,
}


def function_of(term):
    return Function("f", tuple(sorted(symbols([term]), key=name_of)), (("y", term),))


def optimized(term, sizes, routines=TRANSFORMS):
    found, report = optimize_function(function_of(term), sizes=sizes, routines=routines)
    assert not report.diagnostics, report.to_text()
    return found, report


def values(function, sizes, seed=0):
    generator = np.random.default_rng(seed)
    out = []
    for param in function.params:
        shape = [size.evaluate(sizes) for size in param.axes.values()]
        drawn = generator.uniform(-1, 1, shape) + (1j * generator.uniform(-1, 1, shape) if param.kind == Kind.COMPLEX else 0)
        out.append(np.array(sizes[name_of(param)[1:]]) if name_of(param)[0] == "#" else drawn)
    return out


def assert_equal(term, found, every=SMALL):
    before = function_of(term)
    for sizes in every:
        arguments = values(before, sizes)
        (expected,) = reference.call(before, arguments, sizes)
        (value,) = reference.call(found, arguments, sizes)
        assert value.dtype == expected.dtype
        scale = max(np.abs(expected).max(initial=0.0), 1.0)
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-13 * scale)


@pytest.mark.parametrize("name", CASES)
def test_found_and_equal(name):
    found, _ = optimized(CASES[name], LARGE)
    if name in MOST:
        assert operations(found.roots, LARGE) <= MOST[name](LARGE)
    assert_equal(CASES[name], found)


def explained(name, report):
    """What was done to a result and by which planners: the golden file holds no predicted times."""
    before, after = (next(iter(report.texts(terms).values())) for terms in (report.source, report.result))
    by = "; ".join(dict.fromkeys(step.name for step in report.steps if step.phase in ("structure", "contractions")))
    return f"{name}\n  before: {before}\n  after:  {after}\n  by:     {by}\n"


def test_golden_explanations():
    texts = [explained(name, optimized(CASES[name], LARGE)[1]) for name in CASES]
    texts += [explained(name, simplify_and_explain(term, "time", given)[1]) for name, (term, given, _) in FACTS.items()]
    text = "\n".join(texts)
    if os.environ.get("RICCI_RENEW"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


# transforms, whatever they cost


class WithoutSums(NodePrice):
    """No contraction with a summed axis may be extracted but of transformed values."""

    def __call__(self, c, node):
        below = [self.space.nodes[self.child(r)] for r in node.children]
        summed = node.op == "contract" and node.payload.bound
        return None if summed and not all(any(n.op == "proj" for n in nodes) for nodes in below) else super().__call__(c, node)


class Transforming(Optimization):
    price_of_nodes = WithoutSums


def transformed(term):
    run = Transforming([term], LEVELS[2], Price("time"), {}, routines=TRANSFORMS)
    refs = run.load("source", [term])
    run.push()
    run.plan()
    found = Function("f", function_of(term).params, (("y", run.choose(refs)[0]),))
    assert any(t.op == "library" for t in walk(found.roots))
    return found


@pytest.mark.parametrize("length", [8, 9, 17, 31, 32])
@pytest.mark.parametrize("kinds", [(Kind.REAL, Kind.REAL), (Kind.REAL, Kind.COMPLEX), (Kind.COMPLEX, Kind.COMPLEX)])
def test_transforms_of_known_lengths(length, kinds):
    size = Size.of(length)
    v, long, x = tensor("v", kinds[0], i=size), tensor("t", kinds[0], d=2 * size - 1), tensor("x", kinds[1], j=size)
    for matrix in (circulant(v, "i", "j", size), toeplitz(long, "i", "j", size)):
        term = product((matrix, {"j": "l"}), (x, {"j": "l"}), l=size)
        assert_equal(term, transformed(term), [{}])


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("offset", [-3, 0, 2])
@pytest.mark.parametrize("lengths", [(9, 11, 14), (20, 9, 30), (n, 9, n), (n, n - 1, n + 2)])
def test_linear_convolutions_and_correlations(sign, offset, lengths):
    """y[i] = Sum_j f[i +- j + offset] g[j], zero beyond f, wherever f ends."""
    whole, own, out = map(Size.of, lengths)
    f, g = tensor("f", a=whole), tensor("g", j=own)
    view = build.reindex(f, {"i": out, "j": own}, {"a": at("i") + sign * at("j") + offset}, (), 0)
    term = product((view, {"j": "l"}), (g, {"j": "l"}), l=own)
    assert_equal(term, transformed(term), [{"n": k} for k in (2, 5, 11)])


def test_convolutions_in_two_dimensions_with_channels():
    a, b, c = Size.of(9), Size.of(10), Size.of(2)
    f, g = tensor("f", x=a, y=b, c=c, o=Size.of(3)), tensor("g", z=Size.of(2), c=c, x=a, y=b)
    view = build.reindex(
        f, {"x": a, "y": b, "h": a, "k": b, "c": c, "o": Size.of(3)},
        {"x": (at("x") - at("h")).mod(a), "y": (at("y") - at("k")).mod(b)}, (), 0,
    )  # fmt: skip
    term = product((view, {"h": "h", "k": "k", "c": "c"}), (g, {"x": "h", "y": "k", "c": "c"}), h=a, k=b, c=c)
    assert_equal(term, transformed(term), [{}])


def test_whole_numbers_are_not_transformed():
    c, x = tensor("c", Kind.INT, i=n), tensor("x", Kind.INT, j=n)
    found, _ = optimized(product((circulant(c, "i", "j"), {"j": "l"}), (x, {"j": "l"}), l=n), LARGE)
    assert not any(t.op == "library" for t in walk(found.roots))


LOOPED = """
dim i = 4096, j = 4096
tensor c[i], z[j]
let y[i] = c[mod(i - j, 4096)]*z[j]
domain D: x in 0..1 periodic
field u[i](D)
equation dt(u[i]) = sum[j](c[mod(i - j, 4096)]*u[j])
initial u[i] = z[i]
solve { grid: x=4; until: t=0.1; time: rk4(dt=0.05) }
"""


def test_no_routine_is_called_inside_of_compiled_loops():
    program = driver.discretize(
        driver.check_text(
            Source("<test>", LOOPED.replace("tensor c[i], x[j]", "tensor c[i], z[j]").replace("x[j]\n", "z[j]\n").replace("x[i]", "z[i]"))
        )
    )
    better, _ = optimize(program)
    called = {name for name, f in better.functions.items() if any(t.op == "library" for t in walk(f.roots))}
    assert "let:y" in called
    assert "rhs" not in called
    inside, _ = optimized(CASES["circulant x"], LARGE, routines=frozenset())
    assert not any(t.op == "library" for t in walk(inside.roots))
    assert not any(routines_of(name) for name in ("rhs", "rhs_tangent", "rhs_time", "event:0"))


# what is known of matrices

SOLID = tensor("L", i=512, j=512)
FACTS = {
    "symmetric: A - A^T": (build.sub(M, build.rename(M, {"i": "j", "j": "i"})), {M: "symmetric"}, lambda d: 0),
    "symmetric: x^T A - A x": (
        build.sub(product((M, {"i": "k"}), (v, {"i": "k"}), k=n), product((M, {"i": "j", "j": "k"}), (v, {"i": "k"}), k=n)),
        {M: "symmetric"},
        lambda d: 0,
    ),
    "lower: L X": (
        product((SOLID, {"j": "l"}), (tensor("X", j=512, k=512), {"j": "l"}), l=Size.of(512)),
        {SOLID: "lower"},
        lambda d: 2 * 512**3 * 0.66,
    ),
    "symmetric: Gram": (
        build.sub(
            product((M, {"i": "k", "j": "i"}), (M, {"i": "k", "j": "j"}), k=n), product((M, {"j": "k"}), (M, {"i": "k", "j": "j"}), k=n)
        ),
        {M: "symmetric"},
        lambda d: 0,
    ),
    "orthogonal: Q^T Q X": (
        product((M, {"i": "k", "j": "j"}), (M, {"i": "k", "j": "l"}), (X, {"j": "l", "k": "o"}), k=n, l=n),
        {M: "orthogonal"},
        lambda d: 0,
    ),
    "orthogonal: Q Q^T": (product((M, {"i": "i", "j": "k"}), (M, {"i": "l", "j": "k"}), k=n), {M: "orthogonal"}, lambda d: d["n"] ** 2),
    "diagonal: D X": (product((M, {"j": "l"}), (X, {"j": "l"}), l=n), {M: "diagonal"}, lambda d: d["n"] ** 2),
    "lower: diagonal of a product": (
        product((M, {"j": "l"}), (N, {"j": "l", "k": "i"}), l=n), {M: "lower", N: "lower"}, lambda d: d["n"],
    ),
    "lower, upper: trace": (product((M, {"i": "m", "j": "l"}), (N, {"j": "m", "k": "l"}), l=n, m=n), {M: "lower", N: "upper"}, lambda d: 2 * d["n"]),
    "circulant: product": (product((M, {"j": "l"}), (N, {"j": "l"}), l=n), {M: "circulant", N: "circulant"}, lambda d: 2 * d["n"] ** 2),
    "several": (product((M, {"j": "l"}), (N, {"j": "l"}), l=n), {M: ["symmetric", "orthogonal"], N: "diagonal"}, lambda d: d["n"] ** 2),
}  # fmt: skip


def facts_of(given):
    out = {}
    for t, words in given.items():
        for word in [words] if isinstance(words, str) else words:
            out[t] = out.get(t, Facts()).meet(facts_of_word(t, word))
    return out


def drawn(function, facts, sizes, seed):
    return [impose(a, facts[p]) if p in facts else a for p, a in zip(function.params, values(function, sizes, seed), strict=True)]


@pytest.mark.parametrize("name", FACTS)
def test_what_is_given_of_matrices_is_used(name):
    term, given, most = FACTS[name]
    found, report = simplify_and_explain(term, "time", given)
    assert not report.diagnostics
    nominal = {"n": 256}
    assert operations([found], nominal) <= most(nominal)
    before, after = (Function("f", function_of(term).params, (("y", t),)) for t in (term, found))
    for sizes in ({"n": 1}, {"n": 4}, {"n": 7}):
        for seed in (0, 1):
            arguments = drawn(before, facts_of(given), sizes, seed)
            (expected,), (value,) = reference.call(before, arguments, sizes), reference.call(after, arguments, sizes)
            np.testing.assert_allclose(value, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("word", WORDS)
def test_what_checks_draw_has_what_is_given(word):
    for size in (0, 1, 2, 5):
        value = impose(np.random.default_rng(size).uniform(-1, 1, (size, size)), facts_of_word(M, word))
        i, j = np.indices(value.shape)
        holds = {
            "symmetric": lambda a: a - a.T,
            "orthogonal": lambda a: a @ a.T - np.eye(len(a)),
            "diagonal": lambda a: a[i != j],
            "lower": lambda a: a[i < j],
            "upper": lambda a: a[i > j],
            "circulant": lambda a: a - a[(i - j) % max(size, 1), 0] if size else a,
        }
        np.testing.assert_allclose(holds[word](value), 0, atol=1e-14)


def derived(term, given):
    """Facts of a term from facts of its symbols."""
    loader = Loader(new_space())
    (ref,) = loader.load([term])
    return Structure(loader.space, facts_of(given)).of(ref >> 1)


OTHER = tensor("O", i=n, j=n)


def chain(a, b):
    """Sum_k a[i, k] b[k, j]"""
    return product((a, {"j": "k"}), (b, {"i": "k"}), k=n)


def transposed(a):
    return build.rename(a, {"i": "j", "j": "i"})


DERIVED = {
    "sum of symmetric": (build.add(M, build.scale(3, OTHER)), {M: "symmetric", OTHER: "symmetric"}),
    "B^T S B": (chain(transposed(OTHER), chain(M, OTHER)), {M: "symmetric"}),
    "Gram": (chain(OTHER, transposed(OTHER)), {}),
    "function of symmetric": (build.apply("exp", M), {M: "symmetric"}),
    "lower lower": (chain(M, OTHER), {M: "lower", OTHER: "lower"}),
    "transpose of lower": (transposed(M), {M: "lower"}),
    "lower * upper": (build.mul(M, OTHER), {M: "lower", OTHER: "upper"}),
    "diagonal + diagonal": (build.add(M, build.mul(identity("i", "j"), v)), {M: "diagonal"}),
    "sine of lower": (build.apply("sin", M), {M: "lower"}),
    "cosine of lower": (build.apply("cos", M), {M: "lower"}),
    "circulant circulant": (chain(M, circulant(v, "i", "j")), {M: "circulant"}),
    "function of circulants": (build.mul(build.apply("exp", M), build.add(M, circulant(v, "i", "j"))), {M: "circulant"}),
    "circulant + row": (build.add(M, build.rename(v, {"i": "j"})), {M: "circulant"}),
    "orthogonal orthogonal": (chain(M, transposed(OTHER)), {M: "orthogonal", OTHER: "orthogonal"}),
    "band of a guard": (BAND, {}),
    "band of a product": (chain(build.rename(BAND, {}), build.rename(BAND, {})), {}),
    "symmetric circulant": (chain(M, M), {M: ["symmetric", "circulant"]}),
}
NOTED = {
    "sum of symmetric": "symmetric", "B^T S B": "symmetric", "Gram": "symmetric", "function of symmetric": "symmetric",
    "lower lower": "lower", "transpose of lower": "upper", "lower * upper": "diagonal", "diagonal + diagonal": "diagonal",
    "sine of lower": "lower", "circulant circulant": "circulant", "function of circulants": "circulant", "orthogonal orthogonal": "orthogonal",
    "symmetric circulant": "circulant",
}  # fmt: skip


@pytest.mark.parametrize("name", DERIVED)
def test_derived_facts_hold_on_random_instances(name):
    term, given = DERIVED[name]
    known = derived(term, given)
    if name in NOTED:
        wanted = facts_of_word(M, NOTED[name])
        assert known.meet(wanted) == known
    function = function_of(term)
    for sizes in ({"n": 1}, {"n": 3}, {"n": 6}):
        for seed in (0, 1):
            (value,) = reference.call(function, drawn(function, facts_of(given), sizes, seed), sizes)
            i, j = np.indices(value.shape)
            if known.symmetric:
                np.testing.assert_allclose(value, value.T, atol=1e-13)
            for lo, hi in known.bands.values():
                beyond = (i - j < (lo.constant if lo is not None else -99)) | (i - j > (hi.constant if hi is not None else 99))
                np.testing.assert_allclose(value[beyond], 0, atol=1e-13)
            if known.circulant:
                np.testing.assert_allclose(value, value[(i - j) % len(value), 0], atol=1e-13)
            for a, _ in known.orthonormal:
                gram = value.T @ value if a == "i" else value @ value.T
                np.testing.assert_allclose(gram, np.eye(len(value)), atol=1e-13)


def test_facts_that_do_not_follow_are_not_derived():
    assert derived(chain(M, OTHER), {M: "symmetric", OTHER: "symmetric"}).symmetric == frozenset()
    assert derived(build.apply("cos", M), {M: "lower"}).bands == {}
    assert derived(build.add(M, build.rename(v, {"i": "j"})), {M: "circulant"}).circulant == frozenset()
    assert derived(build.add(M, OTHER), {M: "diagonal"}) == Facts()
    assert derived(build.scale(2, M), {M: "orthogonal"}).orthonormal == frozenset()


@pytest.mark.parametrize(
    ("what", "fact"),
    [
        (v, "symmetric"),
        (A, "diagonal"),
        (tensor("Z", Kind.COMPLEX, i=n, j=n), "orthogonal"),
        (build.add(M, OTHER), "lower"),
        (M, "orthonormal"),
    ],
)
def test_what_is_said_of_what_is_no_matrix_is_refused(what, fact):
    with pytest.raises(RicciError, match="E0904"):
        simplify(chain(M, OTHER), given={what: fact})


def test_a_matrix_with_zeros_is_not_given_nonzero():
    with pytest.raises(RicciError, match="E0904"):
        simplify(chain(M, OTHER), given={M: ["diagonal", "positive"]})


def test_what_can_only_be_one_number_is_that_number():
    a, b = tensor("a", i=n), tensor("b", i=n)
    assert simplify(build.mul(a, a, b), "ops", {a: (2, 2)}) is build.scale(4, b)
    assert operations([simplify(build.mul(a, b), "ops", {a: (0, 0)})]) == 0
    assert simplify(build.mul(build.apply("relu", a), b), "ops", {a: "nonpositive"}) is build.zero(a.type)
    assert simplify(build.mul(a, b), "ops", {a: (0, 2)}) is build.mul(a, b)


# from the text of a model


MODELS = {
    "kron": """
dim m = 6, n = 6, p = 2, q = 3, r = 2, s = 3
tensor A[p, r], B[q, s], x[n]
let K[m, n] = A[div(m, 3), div(n, 3)]*B[mod(m, 3), mod(n, 3)]
let y[m] = K[m, n]*x[n]
let z[n] = K[m, n]*K[m, n']*x[n']
let w = sum[m](K[m, m])
""",
    "conditions": """
dim i = 9, j = 9, k = 2
tensor v[i], M[j, k], N[i, j]
let D[i, k] = sum[j]((if i == j then v[i] else 0)*M[j, k])
let P[i, k] = sum[j](((if i == j then 1 else 0) - v[i]*v[j])*M[j, k])
let T[i, k] = sum[j](if abs(i - j) <= 1 then N[i, j]*M[j, k] else 0)
let L = sum[i, j](if j < i then (if i < j then N[i, j] else 0) else 0)
""",
    "circulant": """
dim i = 16, j = 16, b = 3
tensor c[i], x[b, j]
let y[b, i] = c[mod(i - j, 16)]*x[b, j]
let z[b, i] = c[mod(i - j, 16)]*c[mod(j - j', 16)]*x[b, j']
""",
}


@pytest.mark.parametrize("name", MODELS)
def test_models(name):
    program = driver.discretize(driver.check_text(Source("<test>", MODELS[name])))
    better, report = optimize(program)
    assert not report.diagnostics
    assert any(step.phase == "structure" for function in report.functions for step in function.steps)
    for label, function in program.functions.items():
        arguments = values(function, program.sizes)
        for a, b in zip(*(reference.call(f, arguments, program.sizes) for f in (function, better.functions[label])), strict=True):
            np.testing.assert_allclose(b, a, rtol=0, atol=1e-13)


def test_a_condition_that_cannot_hold_is_nothing_to_compute():
    program = driver.discretize(driver.check_text(Source("<test>", MODELS["conditions"])))
    better, _ = optimize(program)
    assert operations(better.functions["let:L"].roots) == 0
