"""The table of operators: name -> signature, how brackets bind, and the function that checks and elaborates it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ricci.dsl import tree
from ricci.dsl.check import calculus, reductions, special
from ricci.dsl.check.applied import Applied, Rule
from ricci.dsl.check.context import Context, error
from ricci.dsl.spelling import nearest

NUMBERS = [
    "exp",
    "expm1",
    "log",
    "log1p",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "erf",
    "erfc",
    "gamma",
    "lgamma",
    "sigmoid",
    "softplus",
    "gelu",
    "gelu_tanh",
]
KEPT = ["abs", "re", "im", "conj", "relu", "floor", "ceil", "round"]
ANY = (0, 99)


def _scalar_rules() -> Iterable[Rule]:
    for name in NUMBERS:
        yield Rule(name, f"{name}(x)", 1, 1, special.number_function)
    for name in KEPT:
        yield Rule(name, f"{name}(x)", 1, 1, special.kept_unit)
    for name in ("sqrt", "cbrt"):
        yield Rule(name, f"{name}(x)", 1, 1, special.rooted)
    for name in ("sign", "heaviside", "arg", "isfinite"):
        yield Rule(name, f"{name}(x)", 1, 1, special.unitless_result)
    for name in ("hypot", "mod", "atan2", "floordiv"):
        yield Rule(name, f"{name}(a, b)", 2, 2, special.two_alike)
    yield Rule("abs2", "abs2(z)", 1, 1, special.square_of_magnitude)
    yield Rule("complex", "complex(a, b)", 2, 2, special.complex_number)
    yield Rule("log10", "log10(x)", 1, 1, special.log10)
    yield Rule("log2", "log2(x)", 1, 1, special.log2)
    yield Rule("silu", "silu(x)", 1, 1, special.silu)
    yield Rule("ricker", "ricker(t, f)", 2, 2, special.ricker)
    for name in ("normal", "uniform"):
        yield Rule(name, f"{name}(seed=1)", 0, 0, special.draw, keywords=("seed",))


def _calculus_rules() -> Iterable[Rule]:
    yield Rule("d", "d(u, x, 2)", 2, 3, calculus.general, raw=True)
    yield Rule("dn", "dn(u)", 1, 1, calculus.normal_derivative)
    yield Rule("grad", "grad(u)", 1, 1, calculus.gradient)
    yield Rule("div", "div(u)", 1, 1, calculus.divergence)
    yield Rule("lap", "lap(u)", 1, 1, calculus.laplacian)
    yield Rule("curl", "curl(u)", 1, 1, calculus.curl)
    yield Rule("dot", "dot(a, b)", 2, 2, calculus.dot)
    yield Rule("outer", "outer(a, b)", 2, 2, calculus.outer)
    yield Rule("cross", "cross(a, b)", 2, 2, calculus.cross)
    yield Rule("transpose", "transpose(T)", 1, 1, calculus.transpose)
    yield Rule("trace", "trace(T)", 1, 1, calculus.trace)
    yield Rule("integral", "integral[x](u)", 1, 1, calculus.integral, brackets="remove", everything=True)


def _axis_rules() -> Iterable[Rule]:
    for name, elaborate in (("sum", reductions.total), ("mean", reductions.mean), ("norm", reductions.norm), ("prod", reductions.product)):
        yield Rule(name, f"{name}[i](e)", 1, 1, elaborate, brackets="remove", everything=True)
    for name in ("max", "min"):
        yield Rule(name, f"{name}[i](e)", 1, 9, reductions.extremum, brackets="remove", everything=True)
    for name in ("any", "all"):
        yield Rule(name, f"{name}[i](c)", 1, 1, reductions.quantifier, brackets="remove", everything=True)
    for name in ("argmax", "argmin"):
        yield Rule(name, f"{name}[k](e)", 1, 1, reductions.place_of_extremum, brackets="remove")
    for name in ("softmax", "log_softmax"):
        yield Rule(name, f"{name}[i](e)", 1, 1, reductions.softmax, brackets="keep")
    yield Rule("logsumexp", "logsumexp[i](e)", 1, 1, reductions.log_sum_exp, brackets="remove", everything=True)
    yield Rule("repeat", "repeat[i](e)", 1, 1, reductions.repeat, brackets="add")
    for name in reductions.EDGES:
        yield Rule(name, f"{name}(u)", 1, 1, reductions.edge)
    for name in ("rfft", "irfft", "fft", "ifft"):
        yield Rule(name, f"{name}[x to k](u)", 1, 1, special.transform, brackets="move")


def _other_rules() -> Iterable[Rule]:
    yield Rule("load", 'load("file.npz")', 1, 1, special.load, makes="recipe", keywords=("*",), raw=True)
    yield Rule("sample", "sample[r](u, points)", 2, 2, special.sample, brackets="add")
    yield Rule("line", "line(z=1)", 0, 0, special.line, makes="recipe", keywords=("*",))
    yield Rule("delta", "delta(x - a)", 1, 3, special.delta)
    yield Rule("gaussian_process", "gaussian_process(x, cov=...)", 1, 3, special.gaussian_process, keywords=("cov", "seed"), raw=True)
    yield Rule("simulate", "simulate[b](model, samples=100)", 1, 1, special.simulate, brackets="add", makes="recipe", keywords=("*",))
    yield Rule("braket", "braket(psi, H, psi)", 2, 3, special.braket)
    yield Rule("flops", "flops(L)", 1, 1, special.flops)
    yield Rule("dense", "dense(L)", 1, 1, special.dense, makes="layer")
    yield Rule("stack", "stack(L, 4)", 2, 2, special.stack, makes="layer", keywords=("shared",))


OPERATORS: Mapping[str, Rule] = {r.name: r for rules in (_scalar_rules(), _calculus_rules(), _axis_rules(), _other_rules()) for r in rules}

# Operators of modules, for what a `.model` file cannot say: an index in brackets, weights of their own.
MODULES: Mapping[str, Mapping[str, Rule]] = {
    "nn": {
        "linear": Rule("nn.linear", "nn.linear[c to k](v)", 1, 9, special.linear_layer, brackets="move"),
        "mlp": Rule("nn.mlp", "nn.mlp[c to k](v, hidden=128)", 1, 9, special.linear_layer, brackets="move", keywords=("hidden",)),
        "cross_entropy": Rule("nn.cross_entropy", "nn.cross_entropy[k](z, y)", 2, 2, special.cross_entropy, brackets="remove"),
        "rel_l2": Rule("nn.rel_l2", "nn.rel_l2(a, b)", 2, 2, special.relative_error, everything=True),
    },
}
SITE_OPERATORS: Mapping[str, tuple[str, ...]] = {"spin": ("Sx", "Sy", "Sz", "Sp", "Sm")}


def operator_names() -> list[str]:
    """Names of all operators but those of modules and derivatives along coordinates of a model."""
    return sorted([*OPERATORS, "dt", "dtt"])


def checked(call: Applied, context: Context) -> Any:
    """Count of arguments, keywords and brackets, then the operator's own rules."""
    rule, node = call.rule, call.node
    assert rule is not None
    count = len(node.positional)
    if not rule.least <= count <= rule.most:
        takes = str(rule.least) if rule.least == rule.most else f"{rule.least} to {rule.most}"
        plural = "" if takes == "1" else "s"
        raise error("E0104", f"`{rule.name}` takes {takes} argument{plural}, {count} given", node, label=f"as in {rule.signature}")
    seen: set[str] = set()
    for keyword in node.keywords:
        name = keyword.name.id
        if name not in rule.keywords and "*" not in rule.keywords:
            guess = nearest(name, rule.keywords)
            known = f"it takes {', '.join(rule.keywords)}" if rule.keywords else "it takes none by name"
            raise error("E0104", f"`{rule.name}` takes no `{name}`", keyword.name, label=f"did you mean `{guess}`?" if guess else known)
        if name in seen:
            raise error("E0102", f"`{name}` is given twice", keyword.name)
        seen.add(name)
    if call.items and not rule.brackets:
        raise error("E0104", f"`{rule.name}` takes no index", call.items[0], label=f"as in {rule.signature}")
    for item in call.items:
        if isinstance(item, tree.NamedItem):
            raise error("E0203", f"`{rule.name}` takes indices, no values, in brackets", item, label=f"as in {rule.signature}")
    return rule.elaborate(call, context)
