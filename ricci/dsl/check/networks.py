"""Tensor networks: `mps(site, phys=2, bond=D)`, `mpo(site)`."""

from __future__ import annotations

from ricci.dsl import tree
from ricci.dsl.check import indices
from ricci.dsl.check.agreement import short
from ricci.dsl.check.context import Context, error, lookup_axis
from ricci.dsl.check.expressions import scalar_of
from ricci.dsl.spelling import nearest

STRUCTURES = {"mps": ("phys", "bond"), "mpo": ("phys", "bond"), "peps": ("phys", "bond"), "ttn": ("phys", "bond")}


def structure_of(node: tree.Expr, context: Context) -> tuple[str, str]:
    """Name of the structure and the index of its sites."""
    if not isinstance(node, tree.Call) or not isinstance(node.function, tree.Name):
        raise error("E0203", f"`{short(node)}` is no network", node, label="as in mps(site, phys=2, bond=D)")
    name = node.function.id
    if name not in STRUCTURES:
        guess = nearest(name, STRUCTURES)
        raise error(
            "E0101",
            f"there is no network `{name}`",
            node.function,
            label=f"did you mean `{guess}`?" if guess else f"there are {', '.join(STRUCTURES)}",
        )
    if len(node.positional) != 1 or not isinstance(node.positional[0], tree.Name):
        raise error("E0104", f"`{name}` takes the index of its sites", node, label=f"as in {name}(site)")
    site = indices.axis_of(node.positional[0], context)
    for keyword in node.keywords:
        if keyword.name.id not in STRUCTURES[name]:
            guess = nearest(keyword.name.id, STRUCTURES[name])
            label = f"did you mean `{guess}`?" if guess else f"it takes {', '.join(STRUCTURES[name])}"
            raise error("E0104", f"`{name}` takes no `{keyword.name.id}`", keyword.name, label=label)
        value = keyword.value
        if not (isinstance(value, tree.Name) and lookup_axis(context, value.id) is not None):
            scalar_of(value, context)
    return name, site.name
