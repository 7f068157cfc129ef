"""Terms in the e-graph and back: the only file that imports egglog.

One fresh engine an optimization, on a thread with a large stack; bounded by iterations and rows, never by time. Sums and
products are multisets, axes bits, index maps and opaque operators numbers (`rules/prelude.egg` is the vocabulary). What the
rules found goes back into the space through its constructors, so that normal forms, like terms and signs are those of the
space, whatever the engine made of them.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from importlib.machinery import PathFinder
from typing import Any, TypeVar

from ricci.dsl import build
from ricci.dsl.ops import contract as contracts
from ricci.dsl.ops import reindex
from ricci.dsl.ops.const import value_of
from ricci.dsl.ops.functions import SCALARS
from ricci.dsl.ops.reindex import Pull, pull_of
from ricci.dsl.push import is_extension
from ricci.dsl.term import Term, walk
from ricci.dsl.types import Kind, Size, TupleType, Type
from ricci.egraph.analyses import Ranges, facts_of
from ricci.egraph.cuts import crosses
from ricci.egraph.rational import in_engine, tidy
from ricci.egraph.ruleset import DOMAIN, PART, Rule, prelude
from ricci.egraph.terms import Loader, contraction
from ricci.errors import RicciError, UnsoundRule

STACK = 512 << 20
MOST_AXES = 62
WEIGHT = 60  # nodes and arguments in one loading rule
PIECE = 16  # members in one call of the engine's multiset constructor

T = TypeVar("T")
Axis = tuple[str, Size]
Map = tuple[Pull, tuple[Axis, ...]]  # an index map and the axes of what it reads


@dataclass(frozen=True)
class Budget:
    """Iterations of the exploring rules, rows after which no iteration is started, terms that are loaded at all."""

    iterations: int = 4
    rows: int = 20_000
    terms: int = 1_500


@dataclass
class Found:
    """What one run did: matches per rule in the order of rules, rows of the engine's tables, classes that got new forms."""

    fired: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    iterations: int = 0


def on_big_stack(work: Callable[[], T]) -> T:
    """Run on a thread whose stack holds deep terms; failures of the engine arrive as RicciError."""
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # a panic of the engine is no Exception
            failed.append(error.with_traceback(None))  # the engine must be dropped on this thread, not kept by a frame

    before = threading.stack_size(STACK)
    try:
        thread = threading.Thread(target=run, name="ricci-egraph")
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    if failed:
        raise _translated(failed[0]) from failed[0]
    return done[0]


def _translated(error: BaseException) -> BaseException:
    """Errors of the engine as errors of ricci; ours and the system's pass."""
    if isinstance(error, RicciError | KeyboardInterrupt | MemoryError):
        return error
    if type(error).__name__ not in ("EggSmolError", "PanicException"):
        return error
    text = str(error).strip().splitlines()
    first = text[0] if text else type(error).__name__
    if "unsound" in str(error):
        return UnsoundRule("E0901", f"the rules derive a contradiction: {first}")
    return UnsoundRule("E0903", f"the rewriting engine failed: {first}")


@cache
def _bindings() -> Any:
    """The engine's own module, without the package around it: that one imports a formatter and costs ten times as much."""
    name = "egglog.bindings"
    if name not in sys.modules:
        package = importlib.util.find_spec("egglog")
        found = PathFinder.find_spec(name, package.submodule_search_locations) if package is not None else None
        if found is None or found.loader is None:
            return importlib.import_module(name)
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name]


class Session:
    """One engine with the prelude and some rules. Create, use and drop it on one thread."""

    def __init__(self, rules: Sequence[Rule], names: Sequence[str]) -> None:
        self.engine = _bindings().EGraph()
        used = dict.fromkeys([*names, *(h for r in rules for h in sorted(r.needs | r.makes))])
        declared = []
        for name in used:
            if name in SCALARS:
                declared.append(f"(constructor f_{name} ({' '.join(['T'] * SCALARS[name].arity)}) T)")
            elif name != "shift":
                declared.append(f"(constructor r_{name} (i64 T) T)")
                declared.append(
                    f'(rule ((= e (r_{name} b t)) (= a (ax t))) ((set (ax e) (& a (not-i64 b)))) :ruleset an :name "axes of {name}")'
                )
        for name in used:
            if name in SCALARS:
                variables = ["x", "y", "z"][: SCALARS[name].arity]
                known = " ".join(f"(= mask_{v} (ax {v}))" for v in variables)
                joined = _joined([f"mask_{v}" for v in variables])
                call = f"(f_{name} {' '.join(variables)})"
                declared.append(f'(rule ((= e {call}) {known}) ((set (ax e) {joined})) :ruleset an :name "axes of {name}")')
        declared += [f"(relation {DOMAIN}{f} (T))" for f in sorted({f for r in rules for f in r.domains})]
        self.names = list(used)
        self.run(prelude())
        for text in [*declared, *(r.text for r in rules)]:  # one by one: much less memory than together
            self.run(text)

    def run(self, text: str) -> list[Any]:
        outputs: list[Any] = self.engine.run_program(*self.engine.parse_program(text))
        return outputs

    def rows(self) -> int:
        """Rows of all tables."""
        return sum(n for _, n in self.run("(print-size)")[0].sizes)

    def matches(self, outputs: Sequence[Any]) -> dict[str, int]:
        total: dict[str, int] = {}
        for output in outputs:
            for part, count in getattr(getattr(output, "report", None), "num_matches_per_rule", {}).items():
                name = part.partition(PART)[0]
                total[name] = total.get(name, 0) + count
        return total


def _joined(parts: Sequence[str]) -> str:
    out = parts[0]
    for part in parts[1:]:
        out = f"(| {out} {part})"
    return out


class Encoding:
    """Text of terms for the engine, and the way back into the space."""

    def __init__(self, loader: Loader, domains: Sequence[str] = ()) -> None:
        self.loader, self.domains = loader, domains
        self.bits: dict[Axis, int] = {}
        self.pulls: dict[Map, int] = {}
        self.leaves: list[Term | None] = [None]  # number 0 is the number one
        self.names: dict[str, None] = {}
        self.chunks: list[list[str]] = [[]]
        self.start = 0
        self.number: dict[Term, int] = {}
        self.composed: set[tuple[int, ...]] = set()

    # to the engine

    def load(self, roots: Sequence[Term], ranges: Ranges) -> bool:
        """Write the terms; False if they have too many axes for bit sets."""
        weight = 0
        for term in walk(roots):
            i = len(self.number)
            weight += 1 + len(term.args)
            if weight > WEIGHT:  # the engine checks a rule in time that grows faster than its length
                self.chunks.append([])
                self.start, weight = i, 1 + len(term.args)
            self.number[term] = i
            self.lines.append(f"(let n{i} {self._text(term)})")
            self.lines.append(f"(union (Nd {i}) n{i})")
            if not isinstance(term.type, TupleType):
                self.lines.append(f"(set (ax n{i}) {self._mask(term)})")
                self.lines.extend(f"({fact} n{i})" for fact in facts_of(term.kind, ranges.of(self.loader.known[term]), self.domains))
        return len(self.bits) <= MOST_AXES

    def programs(self) -> list[str]:
        """Texts to run one after another: together they would cost the engine time and memory beyond all measure."""
        facts = [self._facts(pull, r) for (pull, _), r in self.pulls.items()]
        rules = ["\n".join(["(rule () (", *lines, f') :ruleset ld :name "load {k}")']) for k, lines in enumerate(self.chunks)]
        return [*(["\n".join(facts)] if facts else []), *rules]

    @property
    def lines(self) -> list[str]:
        return self.chunks[-1]

    def _facts(self, pull: Pull, number: int) -> str:
        linear = f" (rlin {number})" if pull.fill in (None, 0) else ""
        return f"(set (rout {number}) {self._mask_of(dict(pull.axes))}){linear}"

    def answers(self, session: Session) -> str:
        """Compositions of index maps that rules asked for and that are not known yet."""
        engine = session.engine
        frozen = engine.freeze().functions
        asked = [tuple(engine.value_to_i64(v) for v in row.inputs) for row in frozen["need"].rows]
        lines = []
        maps = {r: pull for pull, r in self.pulls.items()}
        for r, s in sorted(asked):
            if (r, s) in self.composed:
                continue
            self.composed.add((r, s))
            inner, source = maps[s]
            pull = composition(maps[r][0], inner, dict(source))
            if pull is not None and len(self.bits) < MOST_AXES:
                known = (pull, source) in self.pulls
                number = self.pulls.setdefault((pull, source), len(self.pulls))
                maps[number] = (pull, source)
                lines.append(f"(set (comp {r} {s}) {number})")
                if not known:
                    lines.append(self._facts(pull, number))
        return "\n".join(lines)

    def _bit(self, name: str, size: Size) -> int:
        return 1 << self.bits.setdefault((name, size), len(self.bits))

    def _mask_of(self, axes: Mapping[str, Size]) -> int:
        return sum(self._bit(name, size) for name, size in axes.items())

    def _mask(self, term: Term) -> int:
        return self._mask_of(term.axes)

    def _arg(self, term: Term) -> str:
        i = self.number[term]
        return f"n{i}" if i >= self.start else f"(Nd {i})"

    def _text(self, term: Term) -> str:
        op = term.op
        if op == "const":
            value = value_of(term)
            if isinstance(value, Fraction) and term.kind > Kind.BOOL:
                return "$One" if value == 1 else f"(Sc {in_engine(value)} $One)"
            return self._leaf(term)
        if op in ("symbol", "iota"):
            return self._leaf(term)
        if op == "linear":
            members = [f"(Sc {in_engine(c)} {self._arg(t)})" for c, t in zip(term.attrs, term.args, strict=True)]
            return f"(Lin {_multiset(members)})" if len(term.args) > 1 else members[0]
        if op == "contract":
            return self._contract(term)
        if op == "map" and not crosses(term):
            if term.attrs == ("group",):
                return self._arg(term.args[0])
            self.names[term.attrs[0]] = None
            return f"(f_{term.attrs[0]} {' '.join(self._arg(a) for a in term.args)})"
        if op == "cast" and Kind.BOOL < term.args[0].kind < term.kind:
            return self._arg(term.args[0])
        if op == "reindex" and not is_extension(term.args[0]):
            return f"(Re {self._pull(pull_of(term), term.args[0])} {self._arg(term.args[0])})"
        if op == "reduce" and term.args[0].op != "cast":
            name, axes = term.attrs
            self.names[name] = None
            return f"(r_{name} {self._mask_of({a: term.args[0].axes[a] for a in axes})} {self._arg(term.args[0])})"
        arguments = " ".join(self._arg(a) for a in term.args)
        return f"(Op {self._number(term)} {f'(vec-of {arguments})' if arguments else '(vec-empty)'})"

    def _leaf(self, term: Term) -> str:
        return f"(Sym {self._number(term)})"

    def _number(self, term: Term) -> int:
        self.leaves.append(term)
        return len(self.leaves) - 1

    def _pull(self, pull: Pull, source: Term) -> int:
        return self.pulls.setdefault((pull, tuple(source.axes.items())), len(self.pulls))

    def _contract(self, term: Term) -> str:
        """A contraction with concrete names for its bound labels: an own axis name of a factor where that is free."""
        attrs = contracts.contraction_of(term)
        names: dict[contracts.Label, str] = {axis: axis for axis in term.axes}
        taken = set(term.axes)
        ranked = sorted(zip(term.args, attrs.accesses, strict=True), key=lambda item: item[0].op in ("symbol", "reindex"))
        for _, access in ranked:
            own = {axis for axis, _ in access}
            for axis, label in access:
                if label not in names and axis not in taken and sum(a == axis for a in own) == 1:
                    names[label] = axis
                    taken.add(axis)
        for label in range(len(attrs.bound)):
            if label not in names:
                names[label] = f"~{label}"
                while names[label] in taken:
                    names[label] += "~"
                taken.add(names[label])
        members = []
        for factor, access in zip(term.args, attrs.accesses, strict=True):
            wanted = {axis: names[label] for axis, label in access}
            members.append(self._renamed(factor, wanted))
        bound = self._mask_of({names[label]: size for label, size in enumerate(attrs.bound)})
        return f"(Con {bound} {_multiset(members)})"

    def _renamed(self, factor: Term, names: Mapping[str, str]) -> str:
        if all(a == b for a, b in names.items()):
            return self._arg(factor)
        from ricci.dsl.index import Index

        axes = {b: factor.axes[a] for a, b in names.items()}
        entries = tuple(sorted((a, Index.axis(b)) for a, b in names.items()))
        return f"(Re {self._pull(Pull(tuple(sorted(axes.items())), entries, (), None), factor)} {self._arg(factor)})"

    # from the engine

    def read(self, session: Session) -> int:
        """Everything the engine knows as nodes of the space; returns how many nodes the space gained."""
        space = self.loader.space
        before = space.size()
        frozen = session.engine.freeze().functions
        engine = session.engine
        refs: dict[Hashable, int] = {}
        terms = {i: term for term, i in self.number.items()}
        for row in frozen["Nd"].rows:
            term = terms[engine.value_to_i64(row.inputs[0])]
            known = self.loader.known[term]
            if row.output in refs:
                self._unite(refs[row.output], known)
            refs.setdefault(row.output, known)
        stable = {row.inputs[0] for row in frozen["stable"].rows}
        waiting = _enodes(frozen, engine, session.names)
        maps = {r: pull for (pull, _), r in self.pulls.items()}
        axes = {1 << i: axis for axis, i in self.bits.items()}
        progress = True
        while progress:
            progress = False
            later = []
            for enode in waiting:
                if all(child in refs for child in enode.children):
                    self._take(enode, refs, maps, axes, enode.output in stable)
                    progress = True
                else:
                    later.append(enode)
            waiting = later
        space.rebuild()
        return space.size() - before

    def _take(self, enode: _Enode, refs: dict[Hashable, int], maps: Mapping[int, Pull], axes: Mapping[int, Axis], stable: bool) -> None:
        space = self.loader.space
        ref = self._made(enode, [space.find(refs[c]) for c in enode.children], maps, axes)
        if ref is None:
            return
        if stable:
            space.vouched.add(space.find(ref) >> 1)
        if enode.output in refs:
            self._unite(refs[enode.output], ref)
        else:
            refs[enode.output] = ref

    def _unite(self, a: int, b: int) -> None:
        space = self.loader.space
        axes = space.axes[space.find(a) >> 1] | space.axes[space.find(b) >> 1]
        space.union(space.expand(a, axes), space.expand(b, axes))

    def _made(self, enode: _Enode, refs: list[int], maps: Mapping[int, Pull], axes: Mapping[int, Axis]) -> int | None:
        space, op = self.loader.space, enode.op
        if op == "Sym":
            term = self.leaves[enode.number]
            return space.one if term is None else self.loader.known[term]
        if op == "Sc":
            return space.scale(tidy(enode.factor), refs[0])
        if op == "Lin":
            return space.sum([(1, r) for r in refs])
        if op == "Con":
            return self._contraction(refs, enode.number, axes)
        if op == "Re":
            return self.loader.reindex(refs[0], maps[enode.number])
        if op == "Op":
            return self._opaque(refs, enode.number)
        name = op[2:]
        if op.startswith("f_"):
            return space.apply(name, refs)
        bound = frozenset(axes[bit] for bit in _bits(enode.number))
        own = space.axes[refs[0] >> 1]
        if not bound <= own:
            return None
        kept = own - bound
        return space.apply("reduce", refs, (name, tuple(sorted(a for a, _ in bound))), kept)

    def _opaque(self, refs: list[int], number: int) -> int:
        term = self.leaves[number]
        assert term is not None
        space = self.loader.space
        known = self.loader.known[term]
        for node, sign in space.nodes[space.find(known) >> 1].items():
            if isinstance(node.payload, tuple) and node.op == term.op and len(node.children) == len(refs):
                return space.apply(term.op, refs, node.payload, space.axes[space.find(known) >> 1]) ^ sign
        return known

    def _contraction(self, refs: list[int], mask: int, axes: Mapping[int, Axis]) -> int:
        """Factors with concrete axes; the bound ones become labels."""
        space = self.loader.space
        bound = {axes[bit][0]: axes[bit][1] for bit in _bits(mask)}
        if not bound:
            return space.product([(r, 1) for r in refs])
        label = {name: i for i, name in enumerate(bound)}
        factors = []
        for ref in refs:
            own = sorted(a for a, _ in space.axes[ref >> 1])
            factors.append((ref, {a: label.get(a, a) for a in own}))
        return contraction(self.loader, factors, {label[name]: size for name, size in bound.items()})


@dataclass(frozen=True)
class _Enode:
    """A row of the engine: `number` is its integer argument, `factor` its rational one; children and output are the engine's values."""

    op: str
    number: int
    factor: Fraction
    children: tuple[Hashable, ...]
    output: Hashable


def _enodes(frozen: Mapping[str, Any], engine: Any, names: Sequence[str]) -> list[_Enode]:
    """All e-nodes, children as values of the engine."""
    found = []
    wanted = ["Sym", "Sc", "Lin", "Con", "Re", "Op", *(f"f_{n}" if n in SCALARS else f"r_{n}" for n in names)]
    for op in wanted:
        for row in frozen[op].rows if op in frozen else ():
            number, factor = 0, Fraction(1)
            children: list[Hashable] = []
            for value, sort in zip(row.inputs, frozen[op].input_sorts, strict=True):
                if sort == "T":
                    children.append(value)
                elif sort == "MS":
                    children += engine.value_to_multiset(value)
                elif sort == "VT":
                    children += engine.value_to_vec(value)
                elif sort == "BigRat":
                    factor = engine.value_to_bigrat(value)
                else:
                    number = engine.value_to_i64(value)
            found.append(_Enode(op, number, factor, tuple(children), row.output))
    return found


def composition(outer: Pull, inner: Pull, source: Mapping[str, Size]) -> Pull | None:
    """The one index map that is `outer` of `inner`; None where two fills keep them apart, or `outer` reads axes over which `inner` is constant."""
    if not set(outer.index) <= set(dict(inner.axes)):
        return None
    probe = build.symbol("probe", Type(Kind.REAL, source))
    below = reindex.assemble(probe, dict(inner.axes), dict(inner.index), inner.guards, inner.fill)
    if below.op == "reindex" and below.attrs != inner:
        return None
    whole = reindex.assemble(below, dict(outer.axes), dict(outer.index), outer.guards, outer.fill)
    return pull_of(whole) if whole.op == "reindex" and whole.args[0] is probe else None


def _bits(mask: int) -> list[int]:
    return [1 << i for i in range(mask.bit_length()) if mask >> i & 1]


def _multiset(members: Sequence[str]) -> str:
    """A multiset as the sum of small ones."""
    pieces = [f"(multiset-of {' '.join(members[i : i + PIECE])})" for i in range(0, len(members), PIECE)]
    text = pieces[0]
    for piece in pieces[1:]:
        text = f"(multiset-sum {text} {piece})"
    return text


def saturate(loader: Loader, roots: Sequence[Term], rules: Sequence[Rule], ranges: Ranges, budget: Budget) -> Found | None:
    """Run rules on terms (loaded into the space before) and put all they find into the space; None if nothing was run."""
    encoding = Encoding(loader, sorted(frozenset().union(*(r.domains for r in rules))))
    if len(walk(roots)) > budget.terms or not encoding.load(roots, ranges):
        return None

    def work() -> Found:
        session = Session(rules, list(encoding.names))
        for text in encoding.programs():
            session.run(text)
        outputs = session.run("(run-schedule (run ld) (saturate (run an)))")
        found = Found()
        for _ in range(budget.iterations):
            step = session.run("(run-schedule (run rw) (saturate (run an)))")
            outputs += step
            answers = encoding.answers(session) if "shift" in session.names else ""
            if answers:
                session.run(answers)
            found.iterations += 1
            found.rows = session.rows()
            if not any(session.matches(step).get(r.name) for r in rules) or found.rows > budget.rows:
                break
        counts = session.matches(outputs)
        found.fired = {r.name: counts[r.name] for r in rules if counts.get(r.name)}
        encoding.read(session)
        return found

    return on_big_stack(work)
