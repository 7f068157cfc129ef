"""Terms, functions and programs as text in index notation, the same in every process.

  u[x, y]                 symbol with its axes              2*a - b + 1/2         linear
  sum[i: n](W[h, i]*x[i]) contract, bound labels i, j, ..    u^2*v/(1 + u)         product without bound axes
  t[x = x + 1 | g else 0] reindex: changed axes, guards      t[+y]                 broadcast over y
  t[x := i]               gather                            max[x](t)             reduce
  [x == 0]                1 where the guards hold, else 0
  t.0                     component of a tuple              real(t)               cast
A subterm that is used twice, or deep, gets a name in a `let` before the term.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ricci.dsl.index import Index
from ricci.dsl.program import Program
from ricci.dsl.term import Function, Term, walk
from ricci.dsl.types import Kind, Size

SUM, PRODUCT, POWER, ATOM = range(4)  # how tightly a text binds
SMALL = 12  # terms with fewer nodes are written without names
LONGEST = 160  # a text beyond this length gets a name where it is used
SHOWN_LINES = 60  # of a term's repr
INFIX = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "and": "and", "or": "or", "xor": "xor"}


@dataclass(frozen=True)
class Text:
    """Printed subterm and how tightly it binds."""

    text: str
    binds: int = ATOM

    def within(self, level: int) -> str:
        """The text, in parentheses if it binds less than `level`."""
        return self.text if self.binds >= level else f"({self.text})"


@dataclass
class _Printer:
    names: Callable[[int], str]
    texts: dict[Term, Text] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def add(self, roots: Sequence[Term]) -> None:
        """Print all subterms, naming what is shared or long."""
        order = walk(roots)
        uses: dict[Term, int] = {}
        for term in order:
            for a in set(term.args):
                uses[a] = uses.get(a, 0) + 1
        small = len(order) < SMALL
        for term in order:
            text = SHOW.get(term.op, _other)(term, self)
            shared = not small and uses.get(term, 0) > 1 and len(text.text) > 6 and bool(term.args)
            if (shared or len(text.text) > LONGEST) and term not in roots:
                name = self.names(len(self.lines) + 1)
                self.lines.append(f"let {name} = {text.text}")
                text = Text(name)
            self.texts[term] = text

    def __call__(self, term: Term, level: int = SUM) -> str:
        return self.texts[term].within(level)


def _name(prefix: str) -> Callable[[int], str]:
    return lambda k: f"{prefix}{k}"


def show_term(term: Term, lines: int | None = SHOWN_LINES) -> str:
    """The term, with `let` lines for shared subterms; at most `lines` lines (None: all)."""
    printer = _Printer(_name("s"))
    printer.add([term])
    out = [*printer.lines, printer(term)]
    if lines is not None and len(out) > lines:
        out = [*out[: lines - 2], f"... {len(out) - lines + 1} lines", out[-1]]
    return "\n".join(out)


def show_function(function: Function) -> str:
    """Header with typed params, `let` lines, one line per result."""
    printer = _Printer(_name("s"))
    printer.add(function.roots)
    params = ", ".join(f"{p.attrs[0]}: {p.type}" for p in function.params)
    out = [f"function {function.name}({params})"]
    out += [f"  {line}" for line in printer.lines]
    out += [f"  {name} = {printer(root)}" for name, root in function.results]
    return "\n".join(out)


def show_program(program: Program) -> str:
    """Everything a program holds: choices, states, arguments, functions, each in the order it is kept."""
    out = [f"program {program.name}"]
    out += [f"  size {name} = {n}" for name, n in program.sizes.items()]
    out += [f"  choice {c.what}: {c.value} ({c.reason})" for c in program.choices]
    out += [f"  state {s.name}: {s.symbol.type}" for s in program.states]
    out += [f"  argument {a.name}: {a.symbol.type} ({a.role})" for a in program.arguments]
    for i in program.instants:
        time = i.time if isinstance(i.time, str) else "the end" if i.time is None else show_term(i.time)
        out.append(f"  instant {time}: {i.function}" + ("" if i.every is None else f" every {show_term(i.every)}"))
    for function in program.functions.values():
        out += ["", show_function(function)]
    return "\n".join(out)


# one printer per operator


LONGEST_NUMBER = 40  # digits


def number(value: Fraction | float) -> str:
    """A rational or an infinity as text; a long one in the short form of the machine or decimal number that it is."""
    text = str(value)
    if len(text) <= LONGEST_NUMBER or not isinstance(value, Fraction) or abs(value) >= Fraction(2) ** 1024:
        return text
    short = repr(float(value))
    return short if value in (Fraction(short), Fraction(float(value))) else text


def _const(term: Term, show: _Printer) -> Text:
    value, kind = term.attrs
    if kind == Kind.BOOL:
        return Text("true" if value else "false")
    text = number(value)
    return Text(text, SUM if text.startswith("-") else PRODUCT if "/" in text else ATOM)


def _other(term: Term, show: _Printer) -> Text:
    """An operator of a later stage: its name and arguments."""
    return Text(f"{term.op}({', '.join(show(a) for a in term.args)})")


def _symbol(term: Term, show: _Printer) -> Text:
    name = term.attrs[0]
    return Text(f"{name}[{', '.join(term.axes)}]" if term.axes else name)


def _linear(term: Term, show: _Printer) -> Text:
    parts: list[tuple[bool, str, bool]] = []
    for c, t in zip(term.attrs, term.args, strict=True):
        plain = t.op == "const"
        size = abs(c)
        text = number(size) if plain else show(t, PRODUCT) if size == 1 else f"{number(size)}*{show(t, PRODUCT)}"
        parts.append((plain, text, c < 0))
    parts.sort()
    first = next((k for k, part in enumerate(parts) if not part[2]), 0)
    parts.insert(0, parts.pop(first))
    text = "".join((" - " if negative else " + ") + text for _, text, negative in parts)
    return Text(text[3:] if text.startswith(" + ") else "-" + text[3:], SUM if len(parts) > 1 or parts[0][2] else PRODUCT)


def _contract(term: Term, show: _Printer) -> Text:
    bound: tuple[Size, ...] = term.attrs.bound
    taken = {axis for t in term.args for axis in t.axes} | set(term.axes)
    letters = [name for name in _letters(len(bound) + len(taken)) if name not in taken][: len(bound)]
    above: dict[str, int] = {}
    below: dict[str, int] = {}
    for t, access in zip(term.args, term.attrs.accesses, strict=True):
        labels = {axis: letters[label] if isinstance(label, int) else label for axis, label in access}
        if t.op == "map" and t.attrs == ("recip",):
            inner = t.args[0]
            text = _accessed(inner, {axis: labels[axis] for axis in inner.axes}, show)
            below[text] = below.get(text, 0) + 1
        else:
            text = _accessed(t, labels, show)
            above[text] = above.get(text, 0) + 1
    text = "*".join(_powers(above)) or "1"
    if below:
        under = _powers(below)
        text += "/" + (under[0] if len(under) == 1 else f"({'*'.join(under)})")
    if not bound:
        return Text(text, PRODUCT if len(above) + len(below) > 1 or not above else POWER)
    sizes = ", ".join(f"{name}: {size}" for name, size in zip(letters, bound, strict=True))
    return Text(f"sum[{sizes}]({text})")


def _letters(count: int) -> Iterable[str]:
    base = "ijklmnopqrstuvw"
    return [base[k % len(base)] + (str(k // len(base)) if k >= len(base) else "") for k in range(count + 1)]


def _accessed(t: Term, labels: Mapping[str, str], show: _Printer) -> str:
    """A factor whose axes are read at labels."""
    changed = {axis: label for axis, label in labels.items() if axis != label}
    if not changed:
        return show(t, POWER)
    if t.op == "symbol":
        return f"{t.attrs[0]}[{', '.join(labels[axis] for axis in t.axes)}]"
    return f"{show(t, ATOM)}[{', '.join(f'{axis} = {label}' for axis, label in changed.items())}]"


def _powers(factors: Mapping[str, int]) -> list[str]:
    return [text if count == 1 else f"{text}^{count}" for text, count in sorted(factors.items())]


def _map(term: Term, show: _Printer) -> Text:
    (name,) = term.attrs
    if name in INFIX:
        return Text(f"{show(term.args[0], PRODUCT)} {INFIX[name]} {show(term.args[1], PRODUCT)}", SUM)
    return Text(f"{name}({', '.join(show(a) for a in term.args)})")


def _reduce(term: Term, show: _Printer) -> Text:
    op, axes = term.attrs
    return Text(f"{op}[{', '.join(axes)}]({show(term.args[0])})")


def _reindex(term: Term, show: _Printer) -> Text:
    pull = term.attrs
    source = term.args[0].axes
    changed = [f"{axis} = {e}" for axis, e in pull.entries if e != Index.axis(axis) or term.axes[axis] is not source[axis]]
    changed += [f"+{axis}" for axis in term.axes if axis not in pull.used]
    inside = ", ".join(changed)
    if term.args[0].op == "const" and term.args[0].attrs[0] == 1 and pull.guards and pull.fill == 0:
        return Text(f"[{', '.join([*map(str, pull.guards), *changed])}]")
    if pull.guards:
        inside += (" | " if inside else "| ") + ", ".join(map(str, pull.guards))
        inside += "" if pull.fill == 0 else f" else {number(pull.fill)}"
    return Text(f"{_source(term.args[0], show)}[{inside}]")


def _source(t: Term, show: _Printer) -> str:
    """What is read at an index: of a symbol its name alone."""
    return str(t.attrs[0]) if t.op == "symbol" else show(t, ATOM)


def _gather(term: Term, show: _Printer) -> Text:
    return Text(f"{_source(term.args[0], show)}[{term.attrs[0]} := {show(term.args[1])}]")


def _scatter(term: Term, show: _Printer) -> Text:
    axis, size, over = term.attrs
    return Text(f"scatter[{axis}: {size} := {show(term.args[1])} over {', '.join(over)}]({show(term.args[0])})")


def _iota(term: Term, show: _Printer) -> Text:
    return Text(f"iota[{term.attrs[0]}]")


def _body(function: Function, prefix: str) -> str:
    printer = _Printer(_name(prefix))
    printer.add(function.roots)
    params = ", ".join(p.attrs[0] for p in function.params)
    lets = "".join(f"{line}; " for line in printer.lines)
    return f"{{{params} -> {lets}{', '.join(printer(root) for root in function.roots)}}}"


def _groups(args: Sequence[Term], counts: Sequence[int], show: _Printer) -> str:
    out = []
    start = 0
    for count in counts:
        out.append(", ".join(show(a) for a in args[start : start + count]))
        start += count
    return "; ".join(out)


def _scan(term: Term, show: _Printer) -> Text:
    body, axis, size, count, sequences, reverse = term.attrs
    rest = len(term.args) - count - sequences
    args = _groups(term.args, (count, sequences, rest), show)
    return Text(f"scan[{axis}: {size}{', reverse' if reverse else ''}]({args}){_body(body, 'b')}")


def _iterate(term: Term, show: _Printer) -> Text:
    body, cond, count = term.attrs
    args = _groups(term.args, (count, len(term.args) - count), show)
    return Text(f"iterate({args}){_body(body, 'b')} while {_body(cond, 'c')}")


def _library(term: Term, show: _Printer) -> Text:
    name, *rest = term.attrs
    texts = [_body(a, "b") if isinstance(a, Function) else str(a) for a in rest]
    return Text(f"{name}[{', '.join(texts)}]({', '.join(show(a) for a in term.args)})")


def _random(term: Term, show: _Printer) -> Text:
    stream, axes, distribution = term.attrs
    inside = ", ".join(f"{axis}: {size}" for axis, size in axes)
    return Text(f"{distribution}[{inside}]({stream!r}, {show(term.args[0])})")


def _cast(term: Term, show: _Printer) -> Text:
    return Text(f"{term.attrs[0]}({show(term.args[0])})")


def _proj(term: Term, show: _Printer) -> Text:
    return Text(f"{show(term.args[0], ATOM)}.{term.attrs[0]}")


def _tuple(term: Term, show: _Printer) -> Text:
    return Text(f"({', '.join(show(a) for a in term.args)})")


def _partial(term: Term, show: _Printer) -> Text:
    coordinate, order = term.attrs
    return Text(f"d[{coordinate}{'' if order == 1 else f'^{order}'}]({show(term.args[0])})")


def _at(term: Term, show: _Printer) -> Text:
    point = ", ".join(f"{name} = {show(value)}" for name, value in zip(term.attrs, term.args[1:], strict=True))
    return Text(f"at[{point}]({show(term.args[0])})")


def _integral(term: Term, show: _Printer) -> Text:
    return Text(f"integral[{', '.join(term.attrs)}]({show(term.args[0])})")


SHOW: dict[str, Callable[[Term, Any], Text]] = {
    "const": _const,
    "symbol": _symbol,
    "iota": _iota,
    "linear": _linear,
    "contract": _contract,
    "map": _map,
    "reduce": _reduce,
    "reindex": _reindex,
    "gather": _gather,
    "scatter": _scatter,
    "scan": _scan,
    "iterate": _iterate,
    "library": _library,
    "random": _random,
    "cast": _cast,
    "proj": _proj,
    "tuple": _tuple,
    "partial": _partial,
    "at": _at,
    "integral": _integral,
}
