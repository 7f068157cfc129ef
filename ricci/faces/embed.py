"""Models written in Python: the same text, the same checks, the same numbers as a file.

    import ricci as r
    from ricci import dt, dxx, dn, sin, cos, exp
    m = r.Model("heat"); x, = m.domain("D", x=(-1, 1)); t = m.t; u = m.field("u")
    m.eq(dt(u), dxx(u)); m.bc(u, "x.lo", u, 0); m.bc(u, "x.hi", u, 0); m.initial(u, sin(x))
    solution = m.solve(grid={"x": 41}, until=1)

`print(m)` gives the text of the model. Names of operators (`dt`, `lap`, `exp`, ...) are attributes of `ricci`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ricci.errors import RicciError, Source
from ricci.faces.approximation import Approximation, approximate
from ricci.faces.expression import Expression, as_expression, call

__all__ = [
    "Approximation",
    "Expression",
    "Model",
    "RicciError",
    "Solution",
    "approximate",
    "dims",
    "jax",
    "layer",
    "model",
    "out",
    "pi",
    "simplify",
    "torch",
    "weight",
]

USUAL_DERIVATIVE = re.compile(r"d[txyzr]{1,8}")  # along coordinates of other names: d(u, theta, 2)

pi = Expression("pi")
im = Expression("im")
inf = Expression("inf")


class Operator:
    """A name of the language: `exp(u)`, `sum["i"](e)`, `softmax[s](e)`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *arguments: Any, **keywords: Any) -> Expression:
        return call(self.name, *arguments, **keywords)

    def __getitem__(self, items: Any) -> Expression:
        listed = items if isinstance(items, tuple) else (items,)
        return Expression(f"{self.name}[{', '.join(i if isinstance(i, str) else str(as_expression(i)) for i in listed)}]")

    def __repr__(self) -> str:
        return f"ricci.{self.name}"


def where(condition: Any, yes: Any, no: Any) -> Expression:
    """`if condition then yes else no`."""
    return Expression(f"(if {as_expression(condition)} then {as_expression(yes)} else {as_expression(no)})")


def quantity(value: float, unit: str) -> Expression:
    """A number with a unit: `quantity(20, "m")` is `20 [m]`."""
    return Expression(f"{as_expression(value)} [{unit}]")


def _statement(names: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name}={value}" for name, value in names)


class Model:
    """Statements of one model, in order. Every method adds one statement and returns what it names."""

    def __init__(self, name: str = "model") -> None:
        self.name = name
        self.t = Expression("t")
        self._lines: list[str] = []
        self._solve = ""  # as it was run last
        self._domain = ""

    def __str__(self) -> str:
        from ricci.driver import parse
        from ricci.dsl.format import format_file

        return format_file(parse(self.source()))

    def source(self) -> Source:
        """The text as diagnostics show it."""
        return Source(f"<{self.name}>", "\n".join([*self._lines, *filter(None, [self._solve])]) + "\n")

    def add(self, statement: str) -> None:
        """Any statement of the language as text."""
        self._lines.append(statement)

    def domain(self, name: str, **axes: Any) -> tuple[Expression, ...]:
        """`domain("D", x=(0, 1), y=(0, 2, "periodic"))` returns the coordinates."""
        parts = []
        for axis, bounds in axes.items():
            lo, hi, *rest = bounds
            parts.append(f"{axis} in {as_expression(lo)}..{as_expression(hi)}{' periodic' if rest == ['periodic'] else ''}")
        self.add(f"domain {name}: {', '.join(parts)}")
        self._domain = name
        return tuple(Expression(axis) for axis in axes)

    def field(self, name: str, domain: str | None = None, type: str = "", index: Sequence[Any] = ()) -> Expression:
        """An unknown on a domain (the last one declared if none is given; `"t"` for one without space)."""
        items = f"[{', '.join(str(as_expression(i)) for i in index)}]" if index else ""
        self.add(f"field {name}{items}({domain or self._domain or 't'})" + (f": {type}" if type else ""))
        return Expression(name)

    def param(self, name: str, value: Any = None, type: str = "", domain: str = "", index: Sequence[Any] = ()) -> Expression:
        """A run-time argument with its default, over a domain or indices; without one it is given to `solve`, as a number or an array."""
        items = f"[{', '.join(str(as_expression(i)) for i in index)}]" if index else ""
        self.add(
            f"param {name}{items}"
            + (f"({domain})" if domain else "")
            + (f": {type}" if type else "")
            + (f" = {as_expression(value)}" if value is not None else "")
        )
        return Expression(name)

    def let(self, name: str, value: Any) -> Expression:
        """A name for an expression."""
        self.add(f"let {name} = {as_expression(value)}")
        return Expression(name)

    def eq(self, left: Any, right: Any, name: str = "") -> None:
        """`equation name: left = right`."""
        self.add(f"equation {name + ': ' if name else ''}{as_expression(left)} = {as_expression(right)}")

    def bc(self, field: Any, side: str | Sequence[str], left: Any, right: Any) -> None:
        """`boundary field on side: left = right`; sides are named as `"x.lo"`."""
        sides = side if isinstance(side, str) else ", ".join(side)
        self.add(f"boundary {as_expression(field)} on {sides}: {as_expression(left)} = {as_expression(right)}")

    def initial(self, target: Any, value: Any) -> None:
        """`initial target = value`."""
        self.add(f"initial {as_expression(target)} = {as_expression(value)}")

    def check(self, condition: Any) -> None:
        """A condition that the result must meet."""
        self.add(f"check {as_expression(condition)}")

    def event(self, condition: Any, target: Any, value: Any) -> None:
        """`event when condition: target = value`."""
        self.add(f"event when {as_expression(condition)}: {as_expression(target)} = {as_expression(value)}")

    def solve(
        self,
        grid: Mapping[str, int] | None = None,
        until: Any = None,
        tol: Any = None,
        space: Any = None,
        time: Any = None,
        threads: int | None = None,
        backend: str = "cpu",
        opt: int = 2,
        resume: str | None = None,
        **params: Any,
    ) -> Solution:
        """Run the model; numbers and arrays given here stand for params of that name. The result holds every field at the end.

        `resume`: a file with the state to go on from, as an interrupted run saves it.
        """
        from ricci.driver import Settings

        entries = []
        if grid is not None and not isinstance(grid, Mapping):
            raise TypeError(f'a grid names its axes: grid={{"x": {grid}}}')
        if grid:
            entries.append("grid: " + _statement([(k, str(v)) for k, v in grid.items()]))
        for key, value in (("until", until), ("tol", tol), ("space", space), ("time", time)):
            if value is not None:
                entries.append(f"{key}: " + (value if isinstance(value, str) else str(as_expression(value))))
        self._solve = "solve { " + "; ".join(entries) + " }" if entries else ""
        numbers, arrays = _given(params)
        return _solve(self.source(), Settings(set=numbers, threads=threads, backend=backend, opt=opt, start=resume), arrays)


def _given(params: Mapping[str, Any]) -> tuple[tuple[tuple[str, str], ...], dict[str, Any]]:
    """What stands in the text as a value, and arrays."""
    arrays: dict[str, Any] = {}
    numbers: list[tuple[str, str]] = []
    for name, value in params.items():
        nested = isinstance(value, list) and _numbers(value)
        bare = not isinstance(value, Expression) and (
            bool(getattr(value, "shape", ())) or (hasattr(value, "__dlpack__") and not hasattr(value, "__array__"))
        )
        if nested or bare:
            arrays[name] = np.asarray(value) if nested else value
        else:
            numbers.append((name, str(_single(value))))
    return tuple(numbers), arrays


def _single(value: Any) -> Expression:
    """A number; a result or labelled data without axes keeps its unit."""
    if isinstance(value, Expression) or not hasattr(value, "__array__"):
        return as_expression(value)
    unit = getattr(value, "unit", "") or getattr(value, "attrs", {}).get("units", "")
    number = np.asarray(value).item()
    if not unit:
        return as_expression(number)
    return as_expression(number) * quantity(1, str(unit)) if np.iscomplexobj(number) else quantity(number, str(unit))


def _numbers(value: Any) -> bool:
    """Whether a list holds numbers only, in rows of one length."""
    try:
        return np.asarray(value).dtype.kind in "biufc"
    except ValueError:
        return False


def _solve(source: Source, settings: Any, arrays: Mapping[str, Any]) -> Solution:
    from ricci.faces.execute import announce, execute

    outcome = execute(source, settings, arrays=arrays)
    announce(outcome.warnings)
    return Solution(outcome)


class Results:
    """Labelled data by name (numpy in `.values`, `.to_xarray()`); `results.L.y` is what is called `L.y`."""

    def __init__(self, results: Mapping[str, Any]) -> None:
        self._results = results

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        found = self._results.get(name)
        if found is not None:
            return found
        within = {inner.removeprefix(f"{name}."): r for inner, r in self._results.items() if inner.startswith(f"{name}.")}
        if not within:
            raise AttributeError(f"the result has no `{name}`; it has {', '.join(self._results)}")
        return Results(within)

    def __getitem__(self, name: str) -> Any:
        return self._results[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *dict.fromkeys(name.partition(".")[0] for name in self._results)]

    def __repr__(self) -> str:
        return "\n".join(repr(r) for r in self._results.values())


class Solution(Results):
    """Results of a run: `solution.u` is labelled data, `solution.checks` what was checked."""

    def __init__(self, outcome: Any) -> None:
        super().__init__(outcome.results)
        self._outcome = outcome

    @property
    def checks(self) -> Any:
        return self._outcome.checks

    @property
    def report(self) -> dict[str, Any]:
        """What `ricci run --json` prints."""
        report: dict[str, Any] = self._outcome.to_json()
        return report


def model(text: str, *, weights: Mapping[str, Any] | None = None, seed: int = 0, **params: Any) -> Solution:
    """Run the file form of a model with numbers for its params and arrays for its params, tensors and inputs (`L.x` as `**{"L.x": x}`)."""
    from ricci.driver import Settings

    numbers, arrays = _given(params)
    return _solve(Source("<model>", text), Settings(set=numbers, seed=seed), {**arrays, **(weights or {})})


class Dim(Expression):
    """An index; `Dim.p` is a second index over the same range."""


_SIZES: dict[str, int | None] = {}


def dims(names: str | Sequence[str], **sizes: int) -> tuple[Expression, ...]:
    """`b, d = dims("b", d=784)`: indices, open ones first by name, then fixed ones."""
    listed = names.replace(",", " ").split() if isinstance(names, str) else list(names)
    for name in listed:
        _SIZES[name] = None
    _SIZES.update(sizes)
    return tuple(Dim(n) for n in [*listed, *sizes])


_TRACE: list[_LayerTrace] = []


class _LayerTrace:
    def __init__(self) -> None:
        self.weights: list[str] = []
        self.assignments: list[str] = []


def weight(*indices: Any, name: str = "", **structures: Any) -> Expression:
    """`weight(h, d, btt=dict(cores=2, rank=2))` inside a layer; without a name the weights are W1, W2, ... in their order."""
    if not _TRACE:
        raise TypeError("weight(...) stands inside a function decorated with @ricci.layer")
    trace = _TRACE[-1]
    name = name or f"W{len(trace.weights) + 1}"
    notes = "".join(f" @{k}({_arguments(v)})" for k, v in structures.items())
    trace.weights.append(f"weight {name}[{', '.join(str(i) for i in indices)}]{notes}")
    return Expression(name)


def _arguments(value: Any) -> str:
    return ", ".join(f"{k}={as_expression(v)}" for k, v in value.items()) if isinstance(value, dict) else str(as_expression(value))


class _Out:
    """`out[b, c] << expression` writes the output of a layer."""

    def __init__(self, items: tuple[Any, ...] = ()) -> None:
        self.items = items

    def __getitem__(self, items: Any) -> _Out:
        return _Out(items if isinstance(items, tuple) else (items,))

    def __lshift__(self, value: Any) -> Expression:
        if not _TRACE:
            raise TypeError("out[...] << ... stands inside a function decorated with @ricci.layer")
        _TRACE[-1].assignments.append(f"out[{', '.join(str(i) for i in self.items)}] = {as_expression(value)}")
        return Expression("out")


out = _Out()


class Layer:
    """A traced layer: `str(layer)` is its text; calling it with numpy arrays runs it, axes in the order of its inputs."""

    def __init__(self, name: str, text: str, inputs: Sequence[str]) -> None:
        self.name, self.text, self.inputs = name, text, tuple(inputs)

    def __str__(self) -> str:
        return self.text

    def __call__(self, *arrays: Any, weights: Mapping[str, Any] | None = None, seed: int = 0) -> Any:
        from ricci.faces.execute import call_layer

        if len(arrays) != len(self.inputs):
            raise TypeError(f"`{self.name}` takes {len(self.inputs)} arrays ({', '.join(self.inputs)}), {len(arrays)} given")
        return call_layer(Source(f"<{self.name}>", self.text), self.name, dict(zip(self.inputs, arrays, strict=True)), weights, seed)


def layer(out: str, **inputs: str) -> Callable[[Callable[..., Any]], Layer]:
    """`@layer(out="b c", x="b d")` traces the function once; an input without indices here takes those of its first use."""

    def decorate(function: Callable[..., Any]) -> Layer:
        names = list(inspect.signature(function).parameters)
        trace = _LayerTrace()
        _TRACE.append(trace)
        try:
            function(*(Expression(n) for n in names))
        finally:
            _TRACE.pop()
        text = _layer_text(function.__name__, names, inputs, out.replace(",", " ").split(), trace)
        return Layer(function.__name__, text, names)

    return decorate


def _layer_text(name: str, names: Sequence[str], inputs: Mapping[str, str], result: Sequence[str], trace: _LayerTrace) -> str:
    used = " ".join(trace.assignments)
    signature = []
    for n in names:
        indices = inputs.get(n)
        if indices is None:
            found = re.search(rf"(?<![\w'.]){re.escape(n)}\[([^\]]*)\]", used)
            if found is None:
                raise TypeError(f'the indices of `{n}` are not known: give them as @layer(..., {n}="b d")')
            indices = found.group(1)
        signature.append(f"{n}[{', '.join(indices.replace(',', ' ').split())}]")
    sizes = [f"{d} = {s}" if s is not None else d for d, s in _SIZES.items()]
    body = "\n".join(f"  {line}" for line in [*trace.weights, *trace.assignments])
    header = f"layer {name}({', '.join(signature)}) -> out[{', '.join(result)}] {{"
    return (f"dim {', '.join(sizes)}\n" if sizes else "") + f"{header}\n{body}\n}}\n"


def simplify(expressions: Any, cost: str = "ops", given: Mapping[Any, Any] | None = None) -> Any:
    """Cheapest equal form of SymPy expressions (one, a list, a matrix) by the optimizer; the same kind comes back."""
    from ricci.egraph.symbolic import simplify as improve

    return improve(expressions, cost=cost, given=given)


def torch(function: Any) -> Any:
    """A layer or a step as a differentiable function of PyTorch tensors: not in this version (E0601)."""
    raise _no_callable("torch", function)


def jax(function: Any) -> Any:
    """A layer or a step as a differentiable function of JAX arrays: not in this version (E0601)."""
    raise _no_callable("jax", function)


def _no_callable(framework: str, function: Any) -> RicciError:
    from ricci.errors import CannotLower

    name = getattr(function, "name", type(function).__name__)
    note = "a layer is called with numpy arrays: its values come without derivatives"
    return CannotLower("E0601", f"this version cannot make `{name}` a function of {framework}", notes=(note,))


def __getattr__(name: str) -> Any:
    """Operators, schemes and integrators of the language by their names."""
    if name.startswith("_"):
        raise AttributeError(name)
    from ricci.dsl.check.operators import operator_names
    from ricci.dsl.check.solve_options import SPACES, TIMES

    if name in operator_names() or name in SPACES or name in TIMES or USUAL_DERIVATIVE.fullmatch(name):
        return Operator(name)
    raise AttributeError(f"module 'ricci' has no attribute {name!r}")


def __dir__() -> list[str]:
    from ricci.dsl.check.operators import operator_names
    from ricci.dsl.check.solve_options import SPACES, TIMES

    return sorted({*__all__, "quantity", "where", "im", "inf", *operator_names(), *SPACES, *TIMES})
