"""Stencils in one pass or in several: found exactly, equal everywhere, stored where the optimizer says so, chosen by prediction."""

from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import product

import numpy as np
import pytest

from ricci import driver
from ricci.cost import operations, place, typical_grids
from ricci.dsl import build, reference
from ricci.dsl.index import Index
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.push import push_reindexes
from ricci.dsl.term import Function, symbols, walk
from ricci.dsl.types import Dim, Kind, Size, Type
from ricci.egraph.alternatives import Seconds, fastest
from ricci.egraph.optimize import optimize_function
from ricci.egraph.planners.separating import forms, root
from ricci.egraph.stencils import reads_of
from ricci.errors import Source
from ricci.lowering.schedule import schedule
from ricci.machine import DEFAULT
from tests.egraph.explained import assert_golden, explanation

AXES = "xyz"
BINOMIAL = (1, 6, 15, 20, 15, 6, 1)
EDGES = ("wrap", "clamp", "mirror", 0)


def field(rank, name="u", lower=1):
    return build.symbol(name, Type(Kind.REAL, {a: Size.of(Dim(a, lower)) for a in AXES[:rank]}))


def scalar(name):
    return build.symbol(name, Type(Kind.REAL))


def shifted(u, offsets, edge="wrap"):
    for axis, k in zip(AXES, offsets, strict=False):
        u = build.shift(u, axis, k, edge)
    return u


def filtered(u, weights, edge="wrap"):
    """sum of weights[offsets] * u at the offsets."""
    return build.linear([(Fraction(1), build.mul(q, shifted(u, k, edge))) for k, q in weights.items()])


def outer(*along):
    """{offsets: weight} of an outer product."""
    spans = [range(-(len(w) // 2), len(w) - len(w) // 2) for w in along]
    numbers = {k: [w[i + len(w) // 2] for w, i in zip(along, k, strict=True)] for k in product(*spans)}
    return {k: build.mul(*[q if hasattr(q, "op") else build.const(Fraction(q)) for q in qs]) for k, qs in numbers.items()}


def laplacian(u, rank):
    return build.linear([(q, build.shift(u, a, k)) for a in AXES[:rank] for k, q in ((-1, 1), (0, -2), (1, 1))])


def values_of(terms, sizes, seed=0):
    generator = np.random.default_rng(seed)
    return {name_of(s): generator.uniform(-1, 1, [n.evaluate(sizes) for n in s.axes.values()]) for s in symbols(terms)}


def assert_equal(before, after, every):
    assert before.type is after.type
    for sizes in every:
        a, b = reference.evaluate([before, after], values_of([before], sizes), sizes)
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-12 * max(1.0, np.abs(a).max(initial=0.0)))


def passes(term):
    """How many values are stored to be read at other points."""
    return len({t.args[0] for t in walk([term]) if t.op == "reindex" and t.args[0].op == "map" and t.args[0].attrs == ("group",)})


SMALL = [{"x": n, "y": m, "z": k} for n, m, k in ((1, 1, 1), (1, 5, 2), (2, 3, 1), (7, 4, 3), (9, 13, 5))]


@pytest.mark.parametrize("edge", EDGES)
def test_a_filter_of_rank_one_is_two_passes(edge):
    term = filtered(field(2), outer(BINOMIAL, (1, -2, 0, 5, 1)), edge)
    (form,) = forms(term)
    assert passes(form) == 1
    assert operations([form], {"x": 50, "y": 50}) < 0.4 * operations([term], {"x": 50, "y": 50})
    assert_equal(term, form, SMALL)


def test_a_filter_in_three_dimensions_is_three_passes():
    term = filtered(field(3), outer((1, 2, 1), (1, 3, 1), (2, 5, 2)), "clamp")
    (form,) = forms(term)
    assert passes(form) == 2
    assert_equal(term, form, SMALL)


def test_low_rank_is_a_few_products():
    weights = outer(BINOMIAL, BINOMIAL)
    sharpened = {**weights, (0, 0): build.const(Fraction(-900))}
    term = filtered(field(2), sharpened)
    (form,) = forms(term)
    assert passes(form) == 2
    assert_equal(term, form, SMALL)


def test_weights_may_be_parameters():
    """Products of parameters that do not vary along the axes of the filter, here by channel."""
    p = [build.symbol(f"p{k}", Type(Kind.REAL, {"channel": Size.of(2)})) for k in range(3)]
    u = build.symbol("u", Type(Kind.REAL, {"channel": Size.of(2), "x": Size.of(Dim("x")), "y": Size.of(Dim("y"))}))
    weights = outer((p[1], p[0], p[1]), (p[2], p[0], p[2]))
    term = filtered(u, weights)
    (form,) = forms(term)
    assert_equal(term, form, SMALL)


def test_what_is_no_product_stays():
    weights = {k: build.const(Fraction(1 + (i * i * 7 + i) % 11)) for i, k in enumerate(product(range(-2, 3), repeat=2))}
    assert forms(filtered(field(2), weights)) == []  # full rank
    varying = field(2, "a")
    assert forms(build.mul(varying, filtered(field(2), outer((1, 2, 1), (1, 2, 1))))) == []  # the sum below is looked at by itself
    almost = {
        **outer(
            BINOMIAL,
            BINOMIAL,
        ),
        (3, 3): build.const(Fraction(1) + Fraction(1, 10**30)),
    }
    (form,) = forms(filtered(field(2), almost))  # ranks are exact: what is almost a product is one and a rest
    assert passes(form) == 2


def test_prefix_reads_of_an_extended_field():
    """Reads around a side: the extended axis is longer than the one of the result."""
    n = Size.of(Dim("x"))
    wide = build.symbol("E", Type(Kind.REAL, {"x:e": n + 4, "y": Size.of(Dim("y"))}))
    reads = [
        (
            p * q,
            build.reindex(
                wide, {"x": n, "y": Size.of(Dim("y"))}, {"x:e": Index.axis("x") + i, "y": (Index.axis("y") + j).clamp(Size.of(Dim("y")))}
            ),
        )
        for i, p in enumerate((1, 4, 6, 4, 1))
        for j, q in enumerate((1, 2, 1))
    ]
    term = build.linear(reads)
    (form,) = forms(term)
    assert_equal(term, form, SMALL)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_square_of_a_stencil_is_two_passes(rank):
    u = field(rank)
    (term,) = push_reindexes([laplacian(laplacian(u, rank), rank)])
    (form,) = forms(term)
    assert passes(form) == 1
    assert_equal(term, form, SMALL)


def test_the_square_is_completed():
    """-lap(lap(u)) - 3 lap(u) + u = -(L + 3/2)^2 u + 13/4 u."""
    u = field(2)
    inner = laplacian(u, 2)
    (term,) = push_reindexes([build.linear([(-1, laplacian(inner, 2)), (-3, inner), (1, u)])])
    (form,) = forms(term)
    assert_equal(term, form, SMALL)


def test_a_square_is_not_completed_where_digits_would_cancel():
    u = field(1)
    inner = laplacian(u, 1)
    (term,) = push_reindexes([build.linear([(1, laplacian(inner, 1)), (10**8, inner)])])
    assert forms(term) == []


def test_coefficients_of_axes_have_roots_too():
    """(a dxx + b dyy)^2 with symbols a and b that are no numbers."""
    u, a, b = field(2), scalar("a"), scalar("b")

    def both(v):
        x = build.linear([(q, build.shift(v, "x", k)) for k, q in ((-1, 1), (0, -2), (1, 1))])
        y = build.linear([(q, build.shift(v, "y", k)) for k, q in ((-1, 1), (0, -2), (1, 1))])
        return build.add(build.mul(a, x), build.mul(b, y))

    (term,) = push_reindexes([both(both(u))])
    (form,) = forms(term)
    assert passes(form) == 1
    assert_equal(term, form, SMALL)


def test_no_square_beside_an_edge():
    """Shifts of one axis compose only where it is periodic."""
    u = field(1)
    term = build.linear([(q, build.shift(u, "x", k, 0)) for k, q in ((-2, 1), (-1, -4), (0, 6), (1, -4), (2, 1))])
    assert forms(term) == []


def test_a_polynomial_that_is_no_square_has_no_root():
    stencil = reads_of(build.linear([(q, build.shift(field(1), "x", k)) for k, q in ((-2, 1), (-1, 1), (0, 6), (1, -4), (2, 1))]))
    assert root(stencil.stencils[0].coefficients) is None


# choice and schedule


def function(term):
    return Function("f", tuple(sorted(symbols([term]), key=name_of)), (("y", term),))


def judged(term, rank):
    return optimize_function(function(term), predict=partial(driver.predicted, typical_grids(AXES[:rank]), None, DEFAULT))


WRITTEN = {
    "lap(lap(u))": lambda rank: laplacian(laplacian(field(rank), rank), rank),
    "lap(a*lap(u))": lambda rank: laplacian(build.mul(field(rank, "a"), laplacian(field(rank), rank)), rank),
    "div(a*grad(u))": lambda rank: build.linear(
        [(s, build.shift(flux, axis, k)) for axis in AXES[:rank] for flux in [_flux(rank, axis)] for s, k in ((1, 0), (-1, -1))]
    ),
}


def _flux(rank, axis):
    u, a = field(rank), field(rank, "a")
    return build.mul(build.add(a, build.shift(a, axis, 1)), build.sub(build.shift(u, axis, 1), u))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", WRITTEN)
def test_one_pass_and_two_are_compared(name, rank):
    term = WRITTEN[name](rank)
    found, report = judged(term, rank)
    compared = [c.name for c in report.considered if c.name.endswith("as loops")]
    assert len(compared) > 1
    assert not report.diagnostics
    (result,) = found.roots
    assert_equal(term, result, [dict(zip(AXES, n, strict=True)) for n in ((5, 6, 4), (7, 5, 9))])


def test_the_choice_is_the_least_prediction():
    term = WRITTEN["lap(a*lap(u))"](3)
    found, _ = judged(term, 3)
    grids = typical_grids(AXES)
    seconds = [driver.predicted(grids, None, DEFAULT, f).everywhere for f in (found, function(term), function(push_reindexes([term])[0]))]
    assert seconds[0] == min(seconds)


def test_another_form_is_taken_here_only_if_it_is_much_faster():
    both = {"source": Seconds(2.0, 2.0), "a": Seconds(1.0, 1.2), "b": Seconds(1.5, 1.0), "c": Seconds(1.0, 1.0)}
    assert fastest(both) == "a"
    assert fastest(both | {"b": Seconds(1.5, 0.8)}) == "b"


def test_no_form_is_taken_that_loses_to_the_source_here():
    """In memory `a` wins by a factor; where the arrays lie it would make the program slower than it was written."""
    both = {"source": Seconds(2.0, 1.0), "a": Seconds(1.0, 1.06), "b": Seconds(1.8, 1.04)}
    assert fastest(both) == "b"
    assert fastest({"source": both["source"], "a": both["a"]}) == "source"
    assert fastest({"a": both["a"], "b": both["b"]}) == "a"


def stored(term):
    """Names of arrays in the plan beside the arguments and the result."""
    return [slot.name for slot in schedule(function(term)).slots if slot.role == "temporary" and slot.name != "y"]


def test_the_schedule_does_what_was_chosen():
    """A value in parentheses that is read at several points is stored, however cheap it is; without, cheap values are recomputed."""
    u = field(1)
    inner = laplacian(u, 1)
    assert not stored(laplacian(inner, 1))
    assert len(stored(laplacian(build.group(inner), 1))) == 1
    assert not stored(build.mul(build.group(inner), u))


MODELS = {
    "separation": "equation dt(u) = lap(u^3 - u - 0.01*lap(u))",
    "plate": "equation dt(u) = -lap(a*lap(u))",
    "diffusion": "equation dt(u) = div(a*grad(u))",
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_one_code_serves_all_grids(model, rank):
    """From the first cache to memory: what is chosen does not depend on the grid, so that another grid compiles nothing."""
    chosen = set()
    for n in (12, 40, 150):
        text = (
            f"domain D: {', '.join(f'{c} in 0..1 periodic' for c in AXES[:rank])}\nfield u(D), a(D)\nequation dt(a) = 0\n{MODELS[model]}\n"
        )
        text += f"initial u = 1; initial a = 1\nsolve {{ grid: {', '.join(f'{c}={n}' for c in AXES[:rank])}; until: t=1 }}\n"
        program = driver.discretize(driver.check_text(Source("m.model", text)))
        program = replace(program, functions={"rhs": program.functions["rhs"]})
        better, _ = driver.optimize(program, 2)
        chosen.add(better.functions["rhs"].digest)
    assert len(chosen) == 1


def test_typical_grids_lie_in_every_level():
    for rank in (1, 2, 3):
        assert [place(grid) for grid in typical_grids(AXES[:rank])] == list(range(len(DEFAULT.levels)))
    assert typical_grids([]) == [{}]


def test_explanations():
    cases = {
        "separable 7x7 filter": filtered(field(2), outer(BINOMIAL, BINOMIAL)),
        "separable 3x3x3 filter, zero outside": filtered(field(3), outer((1, 2, 1), (1, 2, 1), (1, 2, 1)), 0),
        "lap(lap(u)), one pass written": push_reindexes([WRITTEN["lap(lap(u))"](3)])[0],
        "lap(lap(u)), two passes written": WRITTEN["lap(lap(u))"](2),
    }
    texts = []
    for title, term in cases.items():
        found, report = optimize_function(function(term))
        assert_equal(term, found.roots[0], SMALL[-2:])
        texts.append(explanation(title, report))
    assert_golden("stencils", texts)


def test_a_number_before_a_sum_is_multiplied_into_coefficients_of_outer_loops():
    """-1/72 (a S + b T) is a' S + b' T with a', b' computed once: one multiplication less at every point."""
    u, a, b = field(2), build.symbol("a", Type(Kind.REAL)), build.symbol("b", Type(Kind.REAL))
    parts = []
    for axis, factor in (("x", a), ("y", b)):
        stencil = [(Fraction(-205, 72), u)] + [
            (q, build.shift(u, axis, s * k, "wrap")) for k, q in ((1, Fraction(8, 5)), (2, Fraction(-1, 5))) for s in (-1, 1)
        ]
        parts.append(build.mul(factor, build.linear(stencil)))
    term = build.linear([(1, p) for p in parts])
    better, report = optimize_function(Function("f", (u, a, b), (("r", term),)))
    assert not report.diagnostics
    (root,) = better.roots
    assert root.op == "linear"
    assert len(root.args) >= 3
