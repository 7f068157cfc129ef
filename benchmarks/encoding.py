"""What the e-graph costs: `python -m benchmarks encoding` times its parts on functions of several kinds."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
Line = tuple[str, str, str, bool | None]


@dataclass
class Parts:
    """Seconds of each part, median of some runs; rows and matches are the same in every run."""

    terms: int
    space: float
    engine: float
    load: float
    rules: float
    read: float
    whole: float
    rows: int
    matches: int
    classes: int


def program_of(text: str) -> Any:
    from ricci import driver
    from ricci.errors import Source

    return driver.together(driver.derive(driver.discretize(driver.check_text(Source("case.model", text)))))


def network(species: int, reactions: int) -> list[Any]:
    """Mass-action right-hand sides of a random network, one per species."""
    from ricci.dsl import build
    from ricci.dsl.types import Kind, Type

    chosen = random.Random(0)
    real = Type(Kind.REAL, {})
    x = [build.symbol(f"x{i}", real) for i in range(species)]
    rates: list[list[tuple[int, Any]]] = [[] for _ in x]
    for j in range(reactions):
        left, right = (chosen.sample(range(species), chosen.choice([1, 2, 2])) for _ in range(2))
        for k, (sign, own) in enumerate([(1, left), (-1, right)][: chosen.choice([1, 2])]):
            rate = build.mul(build.symbol(f"k{j}_{k}", real), *[x[i] for i in own])
            for i in left:
                rates[i].append((-sign, rate))
            for i in right:
                rates[i].append((sign, rate))
    return [build.linear(own) for own in rates if own]


def chain(depth: int) -> list[Any]:
    """log(1 + exp(..)) of itself."""
    from ricci.dsl import build
    from ricci.dsl.types import Kind, Type

    t = build.symbol("x", Type(Kind.REAL, {}))
    for _ in range(depth):
        t = build.apply("log", build.add(build.const(1), build.apply("exp", t)))
    return [t]


def functions() -> dict[str, list[Any]]:
    """Roots by name."""
    from benchmarks.levels import TEXTS

    gray_scott = program_of((ROOT / "benchmarks" / "models" / "gray_scott.model").read_text(encoding="utf-8")).functions["rhs"]
    attention = max(program_of(TEXTS["attention"]).functions.values(), key=lambda f: len(f.params))
    return {
        "Gray-Scott": list(gray_scott.roots),
        "attention": list(attention.roots),
        "network of 40 species": network(40, 120),
        "chain of 300 softplus": chain(300),
    }


def parts(roots: list[Any]) -> Parts:
    """One run of the engine, part by part."""
    from ricci.cost import Price
    from ricci.dsl.term import walk
    from ricci.egraph.analyses import Ranges
    from ricci.egraph.encode import Encoding, Session, on_big_stack
    from ricci.egraph.optimize import LEVELS, Optimization, functions_in
    from ricci.egraph.ruleset import all_rules, relevant

    clock = time.perf_counter
    times = [clock()]
    run = Optimization(roots, LEVELS[2], Price("time"), {})
    run.load("source", run.before)
    times.append(clock())
    rules = relevant(all_rules(), functions_in(roots))
    encoding = Encoding(run.loader)
    encoding.load(roots, Ranges(run.space, run.stated))

    def work() -> tuple[int, int]:
        session = Session(rules, list(encoding.names))
        times.append(clock())
        for text in encoding.programs():
            session.run(text)
        session.run("(run-schedule (run ld) (saturate (run an)))")
        times.append(clock())
        matches = 0
        for _ in range(LEVELS[2].budget.iterations):
            step = session.run("(run-schedule (run rw) (saturate (run an)))")
            own = sum(session.matches(step).get(r.name, 0) for r in rules)
            matches += own
            if not own or session.rows() > LEVELS[2].budget.rows:
                break
        times.append(clock())
        rows = session.rows()
        encoding.read(session)
        times.append(clock())
        return rows, matches

    rows, matches = on_big_stack(work)
    begin = clock()
    Optimization(roots, LEVELS[2], Price("time"), {}).result()
    space, engine, load, fired, read = (b - a for a, b in pairwise(times))
    return Parts(len(walk(roots)), space, engine, load, fired, read, clock() - begin, rows, matches, len(run.space.classes()))


def lines() -> Iterator[Line]:
    """A line for each function: terms, seconds of the parts, rows."""
    for name, roots in functions().items():
        parts(roots)
        found = min((parts(roots) for _ in range(3)), key=lambda p: p.whole)
        spent = ", ".join(
            f"{word} {seconds * 1e3:.1f}"
            for word, seconds in (
                ("space", found.space),
                ("engine", found.engine),
                ("load", found.load),
                ("rules", found.rules),
                ("read", found.read),
            )
        )
        text = f"{found.terms} terms: {spent}, whole optimization {found.whole * 1e3:.0f} ms; {found.rows} rows, {found.matches} matches, {found.classes} classes"
        yield f"e-graph: {name}", text, "", None
