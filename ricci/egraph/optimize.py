"""The optimizer's way: terms -> alternatives (planners, rules) -> extraction -> terms, verified and explained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ricci import cost, defects
from ricci.cost import TRANSFORMS, Price, Sizes
from ricci.dsl.ops import OPERATORS
from ricci.dsl.program import Program
from ricci.dsl.push import push_reindexes
from ricci.dsl.show import show_function
from ricci.dsl.term import Function, Term, rewrite, subfunctions, symbols, walk, with_subfunctions
from ricci.egraph.alternatives import Judge, Seconds, alternatives, fastest, stores
from ricci.egraph.analyses import Given, Range, Ranges
from ricci.egraph.derivation import needed
from ricci.egraph.encode import Budget, Found, saturate
from ricci.egraph.explain import Considered, FunctionReport, Report, Step
from ricci.egraph.extract import Effort, Extraction, extract
from ricci.egraph.fingerprints import Places
from ricci.egraph.graph import Graph
from ricci.egraph.planners import propose
from ricci.egraph.pricing import UNITS, NodePrice
from ricci.egraph.ruleset import Rule, all_rules, relevant
from ricci.egraph.space import Node
from ricci.egraph.structure import Facts
from ricci.egraph.terms import Loader, Reader, stated
from ricci.egraph.userrules import PHASE, compiled
from ricci.egraph.verified import Author, Refusal, VerifiedSpace
from ricci.egraph.verify import mismatch
from ricci.errors import Diagnostic, RicciError, UnsoundRule
from ricci.machine import DEFAULT, Machine

ENGINE = ("rules", "rules of the e-graph")  # who proposes what comes back from the engine
GROWTH = 6  # pushed index maps may make so many times as many terms
MOST_TERMS = 50_000  # a larger function is kept as it is


@dataclass(frozen=True)
class Level:
    """Bounds of one optimization. All are counts: the result does not depend on the speed of the machine."""

    rounds: int
    nodes: int
    proposals: int
    effort: Effort
    budget: Budget = field(default_factory=Budget)


LEVELS = {
    2: Level(rounds=2, nodes=3_000, proposals=400, effort=Effort()),
    3: Level(
        rounds=4,
        nodes=20_000,
        proposals=4_000,
        budget=Budget(iterations=10, rows=200_000, terms=5_000),
        effort=Effort(steps=1_000_000, kicks=512, compiled_steps=300_000_000, compiled_kicks=40_000),
    ),
}


Predict = Callable[[Function], Seconds]  # seconds of one evaluation, by what its loops do


def optimize(program: Program, level: int = 2, machine: Machine = DEFAULT, predict: Predict | None = None) -> tuple[Program, Report]:
    """A program whose functions give the same values in exact arithmetic and cost no more, and what was done.

    Level 0 returns the program itself, 1 its normal form, 2 optimizes, 3 searches longer. A function that cannot be optimized
    because of a defect stays as it is; a diagnostic of the report says so. `predict` decides between forms of a function that
    differ in what is stored; without it the prices of nodes do.
    """
    report = Report(level)
    if level <= 0:
        return program, report
    own_rules = [rule for equality in program.rules for rule in compiled(equality)]
    functions = {}
    for name, function in program.functions.items():
        try:
            functions[name], own = optimize_function(function, level, machine, program.sizes, routines_of(name), predict, own_rules)
        except Exception as error:
            functions[name], own = function, given_up(function, Price("time", machine), program.sizes, error)
        if own is not None:
            own.name = name
            own.origins = tuple(dict.fromkeys(program.origins[t] for t in function.roots if t in program.origins))
            report.functions.append(own)
    return replace(program, functions=functions), report


def optimize_function(
    function: Function,
    level: int = 2,
    machine: Machine = DEFAULT,
    sizes: dict[str, int] | None = None,
    routines: frozenset[str] = frozenset(),
    predict: Predict | None = None,
    own_rules: Sequence[Rule] = (),
) -> tuple[Function, FunctionReport | None]:
    """One function, as `optimize`. The report is None where nothing could be done (level 0 and 1, functions of leaves).

    `routines` are those of libraries that may be called where the function is: inside of compiled loops none are. `own_rules` are
    those of the model, beside the shipped ones.
    """
    if level <= 1 or not computes(function.roots):
        return function, None
    if not worthwhile(function.roots):
        return function, too_large(function, Price("time", machine), sizes or {})
    start, found = _with_optimized_bodies(function, level, machine, sizes or {}, own_rules)
    rules = [*all_rules(), *own_rules]
    run = Optimization(start.roots, LEVELS[min(level, 3)], Price("time", machine), sizes or {}, rules=rules, routines=routines)
    run.judge = None if predict is None else lambda roots: predict(with_results(function, roots))
    roots = run.result()
    report = run.report(function.name, [name for name, _ in function.results])
    report.diagnostics = [*found, *report.diagnostics]
    return with_results(function, roots), report


def with_results(function: Function, roots: Sequence[Term]) -> Function:
    """The function with other terms for its results."""
    return replace(function, results=tuple((name, root) for (name, _), root in zip(function.results, roots, strict=True)))


def routines_of(name: str) -> frozenset[str]:
    """Routines of libraries that a function of a program may call: none in those that the time loop instantiates."""
    looped = name in ("rhs", "rhs_tangent", "rhs_time", "advance") or name.startswith(("event:", "apply:"))
    return frozenset() if looped else TRANSFORMS


def given_up(function: Function, price: Price, sizes: Mapping[str, int], error: Exception) -> FunctionReport:
    """The report of a function that stays as it is because the optimizer failed."""
    names = tuple(name for name, _ in function.results)
    remark = defects.write(error, {"sizes": str(dict(sizes)), "function": show_function(function)})
    failed = Diagnostic("W0902", f"`{function.name}` is not optimized: the optimizer failed", notes=(said(error), remark))
    return FunctionReport(function.name, names, tuple(function.roots), tuple(function.roots), price, sizes, diagnostics=[failed])


def said(error: Exception) -> str:
    """Kind and first line of an error."""
    text = error.diagnostics[0].message if isinstance(error, RicciError) else str(error)
    return f"{type(error).__name__}: {text.partition(chr(10))[0]}"


def _with_optimized_bodies(
    function: Function, level: int, machine: Machine, sizes: dict[str, int], own_rules: Sequence[Rule]
) -> tuple[Function, list[Diagnostic]]:
    """The function with the bodies of its recurrences and loops optimized, innermost first; what their reports say."""
    said: list[Diagnostic] = []

    def visit(term: Term, args: tuple[Term, ...]) -> Term:
        renewed = term if args == term.args else OPERATORS[term.op].rebuild(term, args)
        if renewed.op not in ("scan", "iterate"):
            return renewed
        bodies = [optimize_function(f, level, machine, sizes, own_rules=own_rules) for f in subfunctions(renewed)]
        said.extend(d for _, report in bodies if report is not None for d in report.diagnostics)
        return with_subfunctions(renewed, [body for body, _ in bodies])

    if not any(t.op in ("scan", "iterate") for t in walk(function.roots)):
        return function, said
    roots = rewrite(function.roots, visit)
    return replace(function, results=tuple((name, root) for (name, _), root in zip(function.results, roots, strict=True))), said


def computes(roots: Sequence[Term]) -> bool:
    """Whether anything is computed at all."""
    return any(t.op not in ("symbol", "const", "iota", "reindex", "cast", "proj") for t in walk(roots))


def worthwhile(roots: Sequence[Term]) -> bool:
    """Whether anything is computed, and not so much that looking at all of it would take minutes."""
    return len(walk(roots)) <= MOST_TERMS and computes(roots)


def too_large(function: Function, price: Price, sizes: Mapping[str, int]) -> FunctionReport:
    """The report of a function that stays as it is because of its size."""
    names = tuple(name for name, _ in function.results)
    told = f"`{function.name}` is not optimized: it has {len(walk(function.roots))} terms, at most {MOST_TERMS} are looked at"
    kept = tuple(function.roots)
    return FunctionReport(function.name, names, kept, kept, price, sizes, diagnostics=[Diagnostic("W0603", told)])


class Optimization:
    """Terms that are computed together, optimized under one price."""

    price_of_nodes: type[NodePrice] = NodePrice

    def __init__(
        self,
        roots: Sequence[Term],
        level: Level,
        price: Price,
        sizes: dict[str, int],
        given: Mapping[Term, Range] | None = None,
        rules: Sequence[Rule] | None = None,
        facts: Mapping[Term, Facts] | None = None,
        routines: frozenset[str] = frozenset(),
    ) -> None:
        self.given = dict(given or {})
        self.facts, self.routines = dict(facts or {}), routines
        self.rules = all_rules() if rules is None else rules
        self.engine: Found | None = None
        self.before = list(roots)
        self.after = list(roots)
        self.level, self.price, self.known = level, price, sizes
        self.sizes = Sizes(sizes, price.machine.nominal_size)
        self.steps: list[Step] = []
        self.extraction: Extraction | None = None
        self.diagnostics: list[Diagnostic] = []
        templates: dict[Hashable, Term] = {}
        self.space = VerifiedSpace(Places.of(self.before, sizes, self.given, self.facts), templates)
        self.loader = Loader(self.space, templates=templates)
        self.seeds: dict[str, list[tuple[int, Node]]] = {}
        self.roots: list[int] = []
        self.judge: Judge | None = None
        self.forms: dict[str, list[Term]] = {}  # alternatives that differ in what is stored
        self.judged: dict[str, Seconds] = {}  # their predicted times

    def result(self) -> list[Term]:
        """The cheapest equal terms found; the given ones where nothing is cheaper or a check fails."""
        refs = self.load("source", self.before)
        self.rewrite()
        self.push()
        self.plan()
        self.tell_refused()
        found = self.choose(refs)
        if self.cheaper(found) and not self.check(found):
            self.after = found
        return self.after

    def cheaper(self, found: Sequence[Term]) -> bool:
        """Whether terms beat the source, by the judge if it was asked."""
        if self.judged:
            return list(found) != self.before
        return self._cost(found) < self._cost(self.before)

    def check(self, found: Sequence[Term]) -> bool:
        """Whether terms differ in value from the source; then a diagnostic says where."""
        wrong = mismatch(self.before, found, self.known, self.given, self.facts)
        if wrong is not None:
            facts = {"source": self._source_text(), "optimized": show_function(_function("optimized", found))}
            remark = defects.write(None, {"difference": wrong, "sizes": str(self.known), **facts})
            message = "an optimized function does not give the values of its source; the source is used"
            self.diagnostics.append(Diagnostic("W0901", message, notes=(wrong, remark)))
        return wrong is not None

    @property
    def stated(self) -> Given:
        """What is given, in terms of the space."""
        return stated(self.loader, self.given)

    def _cost(self, terms: Sequence[Term]) -> float:
        return cost.cost(terms, self.price.kind, self.price.machine, self.known)

    def load(self, name: str, roots: Sequence[Term]) -> list[int]:
        self.space.trace = []
        refs = self.loader.load(roots)
        self.seeds[name] = self.space.trace
        self.space.trace = None
        return refs

    def rewrite(self) -> None:
        """Rules on the terms as written, in the e-graph; skipped where none can fire."""
        self.space.given = self.stated
        rules = relevant(self.rules, functions_in(self.before))
        if not rules or len(walk(self.before)) > self.level.budget.terms:
            return
        self.engine = self._saturated(rules)
        known = {rule.name: rule for rule in rules}
        if self.engine is not None:
            self.steps += [Step(known[name].phase, name, count, where=known[name].where) for name, count in self.engine.fired.items()]

    def _saturated(self, rules: Sequence[Rule]) -> Found | None:
        """Run the rules; if they propose what is not equal, blame those that do so alone and go on with the others."""
        seen = len(self.space.refused)
        try:
            with self.space.by(*ENGINE):
                found = saturate(self.loader, self.before, rules, Ranges(self.space, self.stated), self.level.budget)
        except UnsoundRule as error:
            return self._without_own(rules, error)
        self._tell_bounds(rules, found)
        refused = self.space.refused[seen:]
        if not refused or found is None:
            return found
        wrong = [r for r in rules if r.name in found.fired and self._unsound(r)]
        del self.space.refused[seen:]
        authors = [(r.phase, r.name) for r in wrong] or [("rules", " with ".join(found.fired))]
        self.space.refused += [Refusal(a, refused[0].left, refused[0].right, refused[0].difference) for a in authors]
        rest = [r for r in rules if r not in wrong]
        return self._saturated(rest) if wrong and rest else found

    def _without_own(self, rules: Sequence[Rule], error: UnsoundRule) -> Found | None:
        """Rules of the model that lead to a contradiction are left out, all of them; a contradiction among shipped ones is a defect."""
        own = [r for r in rules if r.phase == PHASE]
        if not own:
            raise error
        message = "rules of the model contradict each other or the arithmetic: none of them is used here"
        self.diagnostics.append(Diagnostic("W0904", message, notes=(_named(own), said(error))))
        return self._saturated([r for r in rules if r.phase != PHASE])

    def _tell_bounds(self, rules: Sequence[Rule], found: Found | None) -> None:
        """A diagnostic where the bounds of the search ended what rules of the model make more and more of."""
        if found is None or found.rows <= self.level.budget.rows:
            return
        own = [r for r in rules if r.phase == PHASE and r.name in found.fired]
        if own:
            message = f"rules of the model make more and more forms: the search ended at {found.rows} rows"
            fired = ", ".join(f"{found.fired[r.name]} by `{r.name}`" for r in own)
            self.diagnostics.append(Diagnostic("W0905", message, notes=(_named(own), f"matches: {fired}")))

    def _unsound(self, rule: Rule) -> bool:
        """Whether a rule alone proposes what is not equal."""
        alone = Optimization(self.before, self.level, self.price, self.known, self.given, [rule], self.facts)
        alone.load("source", alone.before)
        saturate(alone.loader, alone.before, [rule], Ranges(alone.space, alone.stated), self.level.budget)
        return bool(alone.space.refused)

    def tell_refused(self) -> None:
        """A diagnostic for every rule or planner that proposed what is not equal."""
        worst: dict[Author, Refusal] = {}
        for refusal in self.space.refused:
            worst.setdefault(refusal.author, refusal)
        for (phase, name), refusal in worst.items():
            said = f"at a random point its sides differ by {refusal.difference:.2e} (relative to the larger)"
            own = [r for r in self.rules if (r.phase, r.name) == (phase, name) and phase == PHASE]
            if own:
                message = f"the rule `{name}` of the model proposed a form that is not equal; it was refused"
                self.diagnostics.append(Diagnostic("W0903", message, notes=(_named(own), said)))
                continue
            remark = defects.write(None, {"proposed by": f"{phase}: {name}", "difference": said, "source": self._source_text()})
            message = f"`{name}` ({phase}) proposed a form that is not equal; it was refused"
            self.diagnostics.append(Diagnostic("W0903", message, notes=(said, remark)))

    def _source_text(self) -> str:
        return show_function(_function("source", self.before))

    def push(self) -> None:
        """Index maps nearer to the leaves, for every term that is read at other points: one pass over the grid instead of two."""
        moved = [t for t in walk(self.before) if t.op == "reindex" and t.args[0].op in ("linear", "contract", "map")]
        if not moved:
            return
        pushed = push_reindexes([*self.before, *moved])
        if len(walk(pushed)) > GROWTH * len(walk(self.before)):
            return
        with self.space.by("structure", "index maps pushed to the leaves"):
            self.load("pushed", pushed)
            for a, b in zip([*self.before, *moved], pushed, strict=True):
                self.space.union(self.loader.known[a], self.loader.known[b])
            self.space.rebuild()
        self.steps.append(Step("structure", "index maps pushed to the leaves", len(moved)))

    def plan(self) -> None:
        level = self.level
        limits = level.rounds, level.proposals, level.nodes
        done = propose(self.loader, self.price, self.sizes, self.stated, self.seeds, *limits, self.facts, self.routines)
        self.steps += [Step(phase, name, count) for phase, name, count in done]

    def choose(self, refs: Sequence[int]) -> list[Term]:
        """Extract the cheapest choice and read it back."""
        self.roots = [self.space.find(r) for r in refs]
        unit = max(self._cost(self.before), 1e-12) / UNITS if self.price.kind == "time" else 1.0
        price = self.price_of_nodes(self.space, self.price, self.sizes, unit, self.stated)
        self.extraction = extract(self.space, self.roots, price, self.seeds, self.level.effort)
        if self.judge is not None and stores(self.space, price):
            return self.judged_best(price, self.judge)
        return self.reader().read(self.roots, self.before)

    def judged_best(self, price: NodePrice, judge: Judge) -> list[Term]:
        """The best of the source and the alternatives that differ in what is stored; the first of equals."""
        assert self.extraction is not None
        self.forms = {"source": self.before}
        self.forms |= alternatives(self.loader, self.roots, self.before, price, self.seeds, self.level.effort, self.extraction)
        self.judged = {name: judge(terms) for name, terms in self.forms.items()}
        return self.forms[fastest(self.judged)]

    def reader(self) -> Reader:
        assert self.extraction is not None
        return Reader(self.space, self.extraction.choice, self.loader.templates)

    def report(self, name: str, names: Sequence[str]) -> FunctionReport:
        report = FunctionReport(
            name,
            tuple(names),
            tuple(self.before),
            tuple(self.after),
            self.price,
            self.known,
            derived=self._chosen_steps,
            diagnostics=self.diagnostics,
        )
        if self.extraction is not None:
            report.graph = Graph(self.space, dict(zip(names, self.roots, strict=True)), self.extraction.choice)
            source = next((c for n, c in self.extraction.seeds.items() if n in ("source", "original")), UNITS)
            report.considered = [Considered(n, c / max(source, 1)) for n, c in sorted(self.extraction.seeds.items(), key=lambda x: x[1])]
            report.considered.append(Considered("searched", self.extraction.cost / max(source, 1)))
            report.chosen = self.extraction.start
            if self.judged:
                whole = self.judged["source"].here or 1.0
                report.considered += [Considered(f"{name}, as loops", t.here / whole) for name, t in self.judged.items()]
                report.chosen = fastest(self.judged)
            report.budget = {"nodes": self.extraction.nodes, "search steps": self.extraction.steps}
        if self.engine is not None:
            report.budget |= {"e-graph rows": self.engine.rows, "e-graph iterations": self.engine.iterations}
        return report

    def _chosen_steps(self) -> list[Step]:
        """The steps in order, with the number of nodes of the chosen form that are theirs."""
        steps = _merged(self.steps)
        if self.extraction is None or self.after == self.before:
            return steps
        order = self.reader().order([r >> 1 for r in self.roots])
        authors = Counter(self.space.origin.get(self.extraction.choice[c]) for c in order)
        fired = [r for r in self.rules if self.engine is not None and r.name in self.engine.fired]
        shared = {r.name: 0 for r in fired} | {r.name: max(1, authors[ENGINE]) for r in self._needed(fired)}
        return [replace(s, chosen=shared.get(s.name, authors[s.phase, s.name])) for s in steps]

    def _needed(self, rules: Sequence[Rule]) -> list[Rule]:
        """Rules by which, with the planners where they are needed, the chosen form is derived from the source."""
        planned = not self._derives(rules, planned=False)
        return needed(rules, lambda some: self._derives(some, planned))

    def _derives(self, rules: Sequence[Rule], planned: bool) -> bool:
        """Whether these rules, and planners if they are asked, find the chosen form equal to the source."""
        other = Optimization(self.before, self.level, self.price, self.known, self.given, rules, self.facts, self.routines)
        refs = [other.load(name, terms) for name, terms in (("source", self.before), ("chosen", self.after))]
        other.rewrite()
        if planned:
            other.push()
            other.plan()
        return all(other.space.find(a) == other.space.find(b) for a, b in zip(*refs, strict=True))


def _named(rules: Sequence[Rule]) -> str:
    """Rules with the places of their texts."""
    return ", ".join(f"`{r.name}` ({r.where})" for r in rules)


def _function(name: str, roots: Sequence[Term]) -> Function:
    """Terms as a function of their symbols."""
    return Function(name, tuple(symbols(roots)), tuple((str(i), t) for i, t in enumerate(roots)))


def _merged(steps: Sequence[Step]) -> list[Step]:
    merged: dict[tuple[str, str], Step] = {}
    for step in steps:
        before = merged.get((step.phase, step.name))
        merged[step.phase, step.name] = step if before is None else replace(before, count=before.count + step.count)
    return list(merged.values())


def functions_in(roots: Sequence[Term]) -> frozenset[str]:
    """Names by which rules are picked: scalar functions, reductions, and `shift` for index maps that rules can move."""
    found = set()
    for term in walk(roots):
        if term.op in ("map", "reduce"):
            found.add(str(term.attrs[0]))
        elif term.op == "reindex" and term.args[0].op in ("linear", "reindex"):
            found.add("shift")
    return frozenset(found)
