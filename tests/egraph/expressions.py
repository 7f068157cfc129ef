"""Expression sets for the optimizer's acceptance, and the operation count they are judged by.

Sets are lists of sympy expressions that are computed together. `operations` is the metric of egraph.md section 6:
n-ary add and mul cost n - 1, a coefficient other than +-1 costs one mul, x**k costs binary powering, a call or a
reciprocal costs 1, sign is free, a repeated subterm is paid once. `baselines` gives what sympy reaches.
"""

import random

import sympy as sp

x, y, z, a, b, c, d, g = sp.symbols("x y z a b c d g")


def operations(expressions):
    """Number of scalar operations of a list of expressions, shared subterms counted once."""
    seen, total = set(), 0
    stack = list(expressions)
    while stack:
        e = stack.pop()
        if e in seen or e.is_Atom:
            continue
        seen.add(e)
        stack.extend(e.args)
        if e.is_Add:
            total += len(e.args) - 1
        elif e.is_Mul:
            total += max(len([f for f in e.args if f != -1]) - 1, 0)
        elif e.is_Pow and e.exp.is_Integer and abs(e.exp) > 1:
            k = int(abs(e.exp))
            total += k.bit_length() - 1 + bin(k).count("1") - 1 + int(bool(e.exp < 0))
        else:
            total += 1
    return total


def with_cse(expressions):
    """Operations after sympy's common-subexpression elimination."""
    definitions, results = sp.cse(expressions)
    return operations([value for _, value in definitions] + list(results))


def baselines(expressions):
    """What sympy reaches: original, cse, factor then cse, horner then cse (None where sympy fails)."""
    out = {"original": sum(operations([e]) for e in expressions), "cse": with_cse(expressions)}
    for name, transform in (("factor", sp.factor), ("horner", sp.horner)):
        try:
            out[name] = with_cse([transform(e) for e in expressions])
        except Exception:
            out[name] = None
    return out


def reaction_network(species, reactions, seed=0, reversible=0.5):
    """Mass-action right-hand sides of a random network; (8,12) (14,35) (25,70) (40,120) with seed 0 are the cases
    of 41, 140, 314 and 573 monomials."""
    random.seed(seed)
    n = sp.symbols(f"x0:{species}")
    f = [sp.Integer(0)] * species
    for j in range(reactions):
        left = random.sample(range(species), random.choice([1, 2, 2]))
        right = random.sample(range(species), random.choice([1, 2]))
        rates = [sp.Symbol(f"k{j}") * sp.Mul(*[n[i] for i in left])]
        if random.random() < reversible:
            rates.append(-sp.Symbol(f"r{j}") * sp.Mul(*[n[i] for i in right]))
        for rate in rates:
            for i in left:
                f[i] -= rate
            for i in right:
                f[i] += rate
    return [e for e in map(sp.expand, f) if e != 0]


FUNCTIONS = (sp.exp, sp.sin, sp.cos, sp.tanh, sp.log, sp.sqrt, lambda e: 1 / e)


def random_set(seed):
    """One to three expressions of x, y and z that share parts by chance; coefficients of both signs."""
    chosen = random.Random(seed)

    def grown(depth):
        kind = chosen.random()
        if depth == 0 or kind < 0.15:
            return chosen.choice([x, y, z, x, y, z, sp.Integer(chosen.choice([1, 2, 3, -1, -2])), sp.Function("f")(x)])
        if kind < 0.45:
            return sp.Add(*[chosen.choice([1, 1, -1, 2, -2, 3, -3]) * grown(depth - 1) for _ in range(chosen.choice([2, 2, 3]))])
        if kind < 0.75:
            return sp.Mul(*[grown(depth - 1) for _ in range(chosen.choice([2, 2, 3]))])
        if kind < 0.87:
            return grown(depth - 1) ** chosen.choice([2, 2, 3, 4])
        return chosen.choice(FUNCTIONS)(grown(depth - 1) + chosen.choice([x, y, z]))

    while True:
        found = [grown(chosen.choice([2, 3, 3])) for _ in range(chosen.choice([1, 1, 2, 3]))]
        if not any(e.has(sp.zoo, sp.nan, sp.oo) for e in found):
            return found


EIGHTH_ORDER = [sp.Rational(-205, 72), sp.Rational(8, 5), sp.Rational(-1, 5), sp.Rational(8, 315), sp.Rational(-1, 560)]


def laplacian(field):
    """8th-order 3-D Laplacian; `ih2` = 1/h**2; point (i, j, k) is the symbol field_(i+4)(j+4)(k+4)."""

    def point(offsets):
        return sp.Symbol(field + "_" + "".join(str(o + 4) for o in offsets))

    return sp.expand(
        sum(
            EIGHTH_ORDER[abs(s)] * sp.Symbol("ih2") * point([s if axis == k else 0 for k in range(3)])
            for axis in range(3)
            for s in range(-4, 5)
        )
    )


def _sets():
    m = sp.Matrix(3, 3, sp.symbols("m0:9"))
    q = sp.symbols("q0:4")
    rho, mu, mv, mw, energy = state = sp.symbols("rho mu mv mw E")
    p = (g - 1) * (energy - (mu**2 + mv**2 + mw**2) / (2 * rho))
    flux = sp.Matrix([mu, mu**2 / rho + p, mu * mv / rho, mu * mw / rho, mu * (energy + p) / rho])
    al, be, ga, de = sp.symbols("al be ga de")
    predator = sp.Matrix([al * x - be * x * y - ga * x * z, de * x * y - ga * y * z - be * y, al * y * z - de * z + be * x * z])
    r3 = (x**2 + y**2 + z**2) ** sp.Rational(3, 2)
    u, v, du, dv, feed, kill = sp.symbols("u_444 v_444 Du Dv f k")
    h = sp.symbols("h0:5")
    t1, t2, m1, m2, l1, l2, w1, w2 = sp.symbols("t1 t2 m1 m2 l1 l2 w1 w2")
    inertia = 2 * m1 + m2 - m2 * sp.cos(2 * t1 - 2 * t2)
    return {
        "(x+y)^4 expanded": [sp.expand((x + y) ** 4)],
        "(x+y+z)^4 expanded": [sp.expand((x + y + z) ** 4)],
        "polynomial of degree 8": [sum((i + 1) * x**i for i in range(9))],
        "bivariate product": [sp.expand((a * x + b * y) * (c * x + d * y) * (x - y))],
        "rational, cancels": [(x**2 - y**2) / (x - y) + (x**3 - y**3) / (x - y)],
        "trigonometric": [sp.sin(x) ** 2 + sp.cos(x) ** 2 + 2 * sp.sin(x) * sp.cos(x)],
        "determinant 3": [m.det()],
        "determinant 4": [sp.Matrix(4, 4, sp.symbols("m0:16")).det()],
        "inverse 3": list(m.adjugate() / m.det()),
        "quaternion to rotation": [
            q[0] ** 2 + q[1] ** 2 - q[2] ** 2 - q[3] ** 2,
            2 * q[1] * q[2] - 2 * q[0] * q[3],
            2 * q[1] * q[3] + 2 * q[0] * q[2],
            2 * q[1] * q[2] + 2 * q[0] * q[3],
            q[0] ** 2 - q[1] ** 2 + q[2] ** 2 - q[3] ** 2,
            2 * q[2] * q[3] - 2 * q[0] * q[1],
            2 * q[1] * q[3] - 2 * q[0] * q[2],
            2 * q[2] * q[3] + 2 * q[0] * q[1],
            q[0] ** 2 - q[1] ** 2 - q[2] ** 2 + q[3] ** 2,
        ],
        "Euler flux": list(flux),
        "Euler flux Jacobian": [e for e in flux.jacobian(state) if e != 0],
        "predator-prey Jacobian": list(predator.jacobian([x, y, z])),
        "Kepler": [-x / r3, -y / r3, -z / r3],
        "8th-order 3-D Laplacian": [laplacian("u")],
        "Gray-Scott, 8th order": [
            sp.expand(du * laplacian("u") - u * v**2 + feed * (1 - u)),
            sp.expand(dv * laplacian("v") + u * v**2 - (feed + kill) * v),
        ],
        "shallow-water bracket": [
            sp.expand((h[0] * h[1] ** 2 / 2 - h[2] * h[1] ** 2 / 2) * g + h[3] * (h[0] - h[2]) + (h[0] - h[2]) * h[1] * h[4])
        ],
        "reactions, 41 monomials": reaction_network(8, 12),
        "reactions, 140 monomials": reaction_network(14, 35),
        "double pendulum": [
            (
                -g * (2 * m1 + m2) * sp.sin(t1)
                - m2 * g * sp.sin(t1 - 2 * t2)
                - 2 * sp.sin(t1 - t2) * m2 * (w2**2 * l2 + w1**2 * l1 * sp.cos(t1 - t2))
            )
            / (l1 * inertia),
            (2 * sp.sin(t1 - t2) * (w1**2 * l1 * (m1 + m2) + g * (m1 + m2) * sp.cos(t1) + w2**2 * l2 * m2 * sp.cos(t1 - t2)))
            / (l2 * inertia),
        ],
    }


SETS = _sets()

if __name__ == "__main__":
    for name, expressions in SETS.items():
        print(f"{name:28s} {baselines(expressions)}")
