"""Rules of a model as rules of the engine: a pattern that finds the left side wherever it stands, among other members too.

A sum is found with any common factor, a product beside any other factors; nested ones must be whole. What is written for a
match is vouched for in floating point by who wrote the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ricci.dsl.model import Equality
from ricci.dsl.ops import contract as contracts
from ricci.dsl.ops.const import value_of
from ricci.dsl.ops.symbol import name_of
from ricci.dsl.term import Term, symbols
from ricci.egraph.rational import in_engine
from ricci.egraph.ruleset import Expression, Rule

PHASE = "model"
ENGINE_FACTS = {"negative": ("nonpositive", "nonzero")}  # facts that the engine has under several names


def compiled(equality: Equality) -> list[Rule]:
    """The rule, and the one from right to left where both are meant."""
    out = [_rule(equality, equality.name, equality.left, equality.right)]
    if equality.both:
        out.append(_rule(equality, f"{equality.name}, from right to left", equality.right, equality.left))
    return out


def _rule(equality: Equality, name: str, left: Term, right: Term) -> Rule:
    pattern = _Pattern({name_of(s): f"v{k}" for k, s in enumerate(symbols([left, right]))})
    union = pattern.top(left, right)
    facts = [(part, s) for fact, s in equality.given for part in ENGINE_FACTS.get(fact, (fact,))]
    conditions = [*pattern.conditions, *(f"({fact} {pattern.names[name_of(s)]})" for fact, s in facts)]
    text = f'(rule ({" ".join(conditions)}) ((let s {pattern.built(right)}) (stable s) {union}) :ruleset rw :name "{name}")'
    given = tuple((fact, name_of(s)) for fact, s in facts)
    return Rule(name, PHASE, prefix(left), prefix(right), given, text, f"{equality.source}:{equality.line}")


class _Pattern:
    """Conditions under which a term is there."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names
        self.conditions: list[str] = []
        self.count = 0

    def fresh(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def top(self, left: Term, right: Term) -> str:
        """Conditions for the whole pattern; the action that unites it with `s`."""
        if left.op == "linear" and len(left.args) > 1:
            return self._sum(left)
        if left.op == "contract":
            members = [self.match(f) for f, _ in contracts.factors_of(left)]
            self.conditions.append("(= e (Con b ms))")
            return f"(union e (Con b (multiset-insert {self._rest(members)} s)))"
        self.conditions.append(f"(= e {self.match(left)})")
        return "(union e s)"

    def _sum(self, left: Term) -> str:
        """A sum times any number `q`, beside other members."""
        self.conditions.append("(= e (Lin ms))")
        members = []
        for k, (c, t) in enumerate(zip(left.attrs, left.args, strict=True)):
            own, ratio = self.match(t), Fraction(c) / Fraction(left.attrs[0])
            if k == 0 or ratio == 1:
                coefficient = "q"
            else:
                coefficient = self.fresh("q")
                self.conditions.append(f"(= {coefficient} (* q {in_engine(ratio)}))")
            members.append(f"(Sc {coefficient} {own})")
        rest = self._rest(members, late=True)
        scale = "q" if left.attrs[0] == 1 else f"(* q {in_engine(1 / Fraction(left.attrs[0]))})"
        return f"(union e (Lin (multiset-insert {rest} (Sc {scale} s))))"

    def _rest(self, members: Sequence[str], late: bool = False) -> str:
        """What of the multiset `ms` is beside the members."""
        found = [f"(= {self.fresh('i')} (in ms {m}))" for m in members]
        if late:  # the first member gives the common factor that the others are computed with
            self.conditions.insert(1, found[0])
            self.conditions += found[1:]
        else:
            self.conditions += found
        rest = "ms"
        for m in members:
            rest = f"(multiset-remove {rest} {m})"
        self.conditions.append(f"(= rest {rest})")
        return "rest"

    def match(self, term: Term) -> str:
        """Text that stands for a part of the pattern."""
        if term.op == "symbol":
            return self.names[name_of(term)]
        if term.op == "const":
            return _constant(term)
        if term.op == "cast" or (term.op == "map" and term.attrs == ("group",)):
            return self.match(term.args[0])
        if term.op == "map":
            return f"(f_{term.attrs[0]} {' '.join(self.match(a) for a in term.args)})"
        if term.op == "linear" and len(term.args) == 1:
            return f"(Sc {in_engine(Fraction(term.attrs[0]))} {self.match(term.args[0])})"
        if term.op == "linear":
            members = [f"(Sc {in_engine(Fraction(c))} {self.match(t)})" for c, t in zip(term.attrs, term.args, strict=True)]
            return self._whole("Lin", members)
        return self._whole("Con 0", [self.match(f) for f, _ in contracts.factors_of(term)])

    def _whole(self, head: str, members: Sequence[str]) -> str:
        """A sum or product of these members and no others."""
        node, ms = self.fresh("n"), self.fresh("m")
        self.conditions += [f"(= {node} ({head} {ms}))", f"(= {len(members)} (multiset-length {ms}))"]
        rest = ms
        for m in members:
            self.conditions.append(f"(= {self.fresh('i')} (in {ms} {m}))")
            rest = f"(multiset-remove {rest} {m})"
        self.conditions.append(f"(= {self.fresh('r')} {rest})")
        return node

    def built(self, term: Term) -> str:
        """Text of a term of the right side."""
        if term.op == "symbol":
            return self.names[name_of(term)]
        if term.op == "const":
            return _constant(term)
        if term.op == "cast" or (term.op == "map" and term.attrs == ("group",)):
            return self.built(term.args[0])
        if term.op == "map":
            return f"(f_{term.attrs[0]} {' '.join(self.built(a) for a in term.args)})"
        if term.op == "linear":
            members = [f"(Sc {in_engine(Fraction(c))} {self.built(t)})" for c, t in zip(term.attrs, term.args, strict=True)]
            return members[0] if len(members) == 1 else f"(Lin (multiset-of {' '.join(members)}))"
        return f"(Con 0 (multiset-of {' '.join(self.built(f) for f, _ in contracts.factors_of(term))}))"


def _constant(term: Term) -> str:
    value = value_of(term)
    q = Fraction(value)  # type: ignore[arg-type]
    return "$One" if q == 1 else f"(Sc {in_engine(q)} $One)"


def prefix(term: Term) -> Expression:
    """A side in the form in which shipped rules state themselves."""
    if term.op == "symbol":
        return name_of(term)
    if term.op == "const":
        return _signed(Fraction(value_of(term)))  # type: ignore[arg-type]
    if term.op == "cast" or (term.op == "map" and term.attrs == ("group",)):
        return prefix(term.args[0])
    if term.op == "map":
        return (str(term.attrs[0]), *(prefix(a) for a in term.args))
    if term.op == "linear":
        parts = [prefix(t) if c == 1 else ("*", _signed(Fraction(c)), prefix(t)) for c, t in zip(term.attrs, term.args, strict=True)]
        return _chain("+", parts)
    return _chain("*", [prefix(f) for f, _ in contracts.factors_of(term)])


def _signed(q: Fraction) -> Expression:
    return ("-", str(-q)) if q < 0 else str(q)


def _chain(head: str, parts: Sequence[Expression]) -> Expression:
    out = parts[0]
    for part in parts[1:]:
        out = (head, out, part)
    return out
