"""x * (1 / x) = 1 in products, where x is known not to be zero; quotients of products as one division."""

from __future__ import annotations

from ricci.egraph.analyses import Ranges
from ricci.egraph.planners.sharing import products_of
from ricci.egraph.space import Space


def inverse_of(space: Space, c: int) -> int | None:
    """The value that class c is the reciprocal of, if it is one."""
    for node, sign in space.nodes[c].items():
        if node.op == "recip":
            return space.find(node.children[0]) ^ sign
    return None


def cancel(space: Space, ranges: Ranges) -> int:
    """Products without pairs x, 1/x for x that is not zero. The axes stay: a lost factor is a broadcast."""
    made = 0
    for c, powers in products_of(space).items():
        for r, k in powers.items():
            x = inverse_of(space, r)
            if x is None or x & 1 or x >> 1 not in powers or not ranges.of(x).excludes_zero:
                continue
            gone = min(k, powers[x >> 1])
            rest = {d: e - (gone if d in (r, x >> 1) else 0) for d, e in powers.items()}
            parts = [(2 * d, e) for d, e in rest.items() if e]
            reduced = space.product(parts) if parts else space.one
            space.union(space.expand(reduced, space.axes[c]), 2 * c)
            made += 1
            break
    return made


def join_divisions(space: Space) -> int:
    """a * (1/x) * (1/y) as a * (1 / (x y)): one division."""
    made = 0
    for c, powers in products_of(space).items():
        inverses = {r: inverse_of(space, r) for r in powers}
        below = [(x, powers[r]) for r, x in inverses.items() if x is not None]
        if sum(k for _, k in below) < 2:
            continue
        above = [(2 * d, k) for d, k in powers.items() if inverses[d] is None]
        divisor = space.product(below)
        space.union(space.product([*above, (space.apply("recip", [divisor]), 1)]), 2 * c)
        made += 1
    return made
