"""How numpy evaluates a reindex: basic slicing wherever an axis is read by an arithmetic progression, else gathers.

Guards on single axes cut a box out of the result; only that box is read. Other guards mask it afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ricci.dsl.index import Guard, Index
from ricci.dsl.types import Type

if TYPE_CHECKING:
    from ricci.dsl.ops.reindex import Pull


def pull_array(source: Any, source_type: Type, pull: Pull, fill: Any, dims: Mapping[str, int]) -> Any:
    """out[o] = source[index(o)] where the guards hold, else fill; axes of both arrays in canonical order."""
    import numpy as np

    shape = {name: size.evaluate(dims) for name, size in pull.axes}
    box = {name: (0, n) for name, n in shape.items()}
    masks: list[Guard] = []
    for guard in pull.guards:
        axis = guard.index.single_axis
        if axis is None:
            masks.append(guard)
            continue
        lo, hi = box[axis]
        lo = lo if guard.lo is None else max(lo, guard.lo.evaluate(dims))
        hi = hi if guard.hi is None else min(hi, guard.hi.evaluate(dims))
        box[axis] = (lo, max(lo, hi))
    names = list(shape)
    extents = tuple(shape.values())
    empty = any(lo == hi for lo, hi in box.values())
    if empty or source.size == 0:
        return np.full(extents, 0 if fill is None else fill, source.dtype)
    values, order = _read(source, list(source_type.axes), pull.index, box, dims)
    values = _align(values, order, names)
    box_shape = tuple(hi - lo for lo, hi in box.values())
    values = np.broadcast_to(values, box_shape)
    if masks:
        lanes = {name: np.arange(*box[name]).reshape([-1 if other == name else 1 for other in names]) for name in names}
        keep: Any = True
        for guard in masks:
            keep = keep & guard.evaluate(lanes, dims)
        values = np.where(keep, values, np.asarray(fill, source.dtype))
    if box_shape == extents:
        return values
    out = np.full(extents, fill, source.dtype)
    out[tuple(slice(*box[name]) for name in names)] = values
    return out


def _align(values: Any, order: Sequence[str], names: Sequence[str]) -> Any:
    """Transpose to the order of `names` with axes of length one where an axis is missing."""
    present = [name for name in names if name in order]
    values = values.transpose([order.index(name) for name in present])
    shape = iter(values.shape)
    return values.reshape([next(shape) if name in order else 1 for name in names])


def _read(
    source: Any, axes: Sequence[str], index: Mapping[str, Index], box: Mapping[str, tuple[int, int]], dims: Mapping[str, int]
) -> tuple[Any, list[str]]:
    """source[index] over the box, and the out axes that the result has, in its order."""
    import numpy as np

    users: dict[str, int] = {}
    for e in index.values():
        for name in e.axes:
            users[name] = users.get(name, 0) + 1
    names: list[str | None] = []  # out axis per remaining axis of source; None: read jointly
    keys: list[Any] = []
    takes: list[tuple[str, Any]] = []
    joint: list[Index] = []
    limits: list[int] = []
    for axis, n in zip(axes, source.shape, strict=True):
        e = index[axis]
        if not e.axes:
            keys.append(min(max(int(e.evaluate({}, dims)), 0), n - 1))
        elif len(e.axes) == 1 and all(users[name] == 1 for name in e.axes):
            (name,) = e.axes
            positions = np.clip(e.evaluate({name: np.arange(*box[name])}, dims), 0, n - 1)
            progression = _progression(positions)
            keys.append(slice(None) if progression is None else progression)
            if progression is None:
                takes.append((name, positions))
            names.append(name)
        else:
            keys.append(slice(None))
            names.append(None)
            joint.append(e)
            limits.append(n)
    values = source[tuple(keys)]
    for name, positions in takes:
        values = np.take(values, positions, axis=names.index(name))
    rest = [name for name in names if name is not None]
    if not joint:
        return values, rest
    front = [i for i, name in enumerate(names) if name is None]
    values = values.transpose(front + [i for i, name in enumerate(names) if name is not None])
    together = sorted(frozenset().union(*(e.axes for e in joint)))
    lanes = {a: np.arange(*box[a]).reshape([-1 if b == a else 1 for b in together]) for a in together}
    shape = tuple(box[a][1] - box[a][0] for a in together)
    positions = tuple(np.broadcast_to(np.clip(e.evaluate(lanes, dims), 0, n - 1), shape) for e, n in zip(joint, limits, strict=True))
    return values[positions], together + rest


def _progression(positions: Any) -> slice | None:
    """The slice that reads these positions, if they are an arithmetic progression."""
    if len(positions) == 1:
        first = int(positions[0])
        return slice(first, first + 1)
    step = int(positions[1] - positions[0])
    if step == 0 or (positions[1:] - positions[:-1] != step).any():
        return None
    stop = int(positions[-1]) + (1 if step > 0 else -1)
    return slice(int(positions[0]), None if stop < 0 else stop, step)
