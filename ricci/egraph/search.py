"""The inner loops of extraction: reference-counted local search over one choice a class. Plain integers and arrays.

The functions run as they are on lists, and compiled on integer arrays (`extract.compiled_search`); both give the same
result. A problem and its state are flat arrays, by name:

  first[c] .. first[c + 1]        nodes of class c; owner[n] the class of node n
  cost[n]                         integer cost of node n without its children
  begin[n] .. begin[n + 1]        range of `child` that holds the distinct child classes of node n
  above[c] .. above[c + 1]        range of `parent` that holds the nodes that have class c as a child
  choice[c], uses[c]              the chosen node of a class, and how many chosen parents and roots use the class
  stack, mark, value, queue       scratch, one entry a class or edge
  log                             (class, earlier node) of every switch since the last commit
  now                             counters, see the constants below

A choice is valid when no used class reaches itself; all functions keep it valid.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

INFINITE = 1 << 60
TOTAL, STEPS, LOGGED, STAMP, TOUCHED, RANDOM = 0, 1, 2, 3, 4, 5


class Integers(Protocol):
    """A list, or an array of 64-bit integers."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[int]: ...

    def __getitem__(self, index: int, /) -> int: ...

    def __setitem__(self, index: int, value: int, /) -> None: ...


def acquire(
    c: int, choice: Integers, uses: Integers, cost: Integers, begin: Integers, child: Integers, stack: Integers, touched: Integers,
    now: Integers,
) -> None:  # fmt: skip
    """Count one more use of class c."""
    stack[0] = c
    top = 1
    while top > 0:
        top -= 1
        d = stack[top]
        now[STEPS] += 1
        uses[d] += 1
        if uses[d] == 1:
            n = choice[d]
            now[TOTAL] += cost[n]
            if now[TOUCHED] < len(touched):
                touched[now[TOUCHED]] = d
                now[TOUCHED] += 1
            for k in range(begin[n], begin[n + 1]):
                stack[top] = child[k]
                top += 1


def release(
    c: int, choice: Integers, uses: Integers, cost: Integers, begin: Integers, child: Integers, stack: Integers, touched: Integers,
    now: Integers,
) -> None:  # fmt: skip
    """Count one use of class c less."""
    stack[0] = c
    top = 1
    while top > 0:
        top -= 1
        d = stack[top]
        now[STEPS] += 1
        uses[d] -= 1
        if uses[d] == 0:
            n = choice[d]
            now[TOTAL] -= cost[n]
            if now[TOUCHED] < len(touched):
                touched[now[TOUCHED]] = d
                now[TOUCHED] += 1
            for k in range(begin[n], begin[n + 1]):
                stack[top] = child[k]
                top += 1


def switch(
    c: int, n: int, choice: Integers, uses: Integers, cost: Integers, begin: Integers, child: Integers, stack: Integers,
    touched: Integers, log: Integers, now: Integers,
) -> bool:  # fmt: skip
    """Let used class c be computed by node n; new children first, so that shared parts survive. True if it fitted the log."""
    if now[LOGGED] + 2 > len(log):
        return False
    old = choice[c]
    for k in range(begin[n], begin[n + 1]):
        acquire(child[k], choice, uses, cost, begin, child, stack, touched, now)
    now[TOTAL] += cost[n] - cost[old]
    choice[c] = n
    for k in range(begin[old], begin[old + 1]):
        release(child[k], choice, uses, cost, begin, child, stack, touched, now)
    log[now[LOGGED]] = c
    log[now[LOGGED] + 1] = old
    now[LOGGED] += 2
    return True


def undo(
    to: int, choice: Integers, uses: Integers, cost: Integers, begin: Integers, child: Integers, stack: Integers, touched: Integers,
    log: Integers, now: Integers,
) -> None:  # fmt: skip
    """Take back switches, last first, until the log has length `to`."""
    while now[LOGGED] > to:
        c = log[now[LOGGED] - 2]
        n = log[now[LOGGED] - 1]
        now[LOGGED] -= 2
        switch(c, n, choice, uses, cost, begin, child, stack, touched, log, now)
        now[LOGGED] -= 2


def cyclic(c: int, n: int, choice: Integers, begin: Integers, child: Integers, stack: Integers, mark: Integers, now: Integers) -> bool:
    """Whether node n, computed as chosen, needs class c."""
    now[STAMP] += 1
    stamp = now[STAMP]
    top = 0
    for k in range(begin[n], begin[n + 1]):
        d = child[k]
        if mark[d] != stamp:
            mark[d] = stamp
            stack[top] = d
            top += 1
    while top > 0:
        top -= 1
        d = stack[top]
        if d == c:
            return True
        m = choice[d]
        now[STEPS] += 1
        for k in range(begin[m], begin[m + 1]):
            e = child[k]
            if mark[e] != stamp:
                mark[e] = stamp
                stack[top] = e
                top += 1
    return False


def improve(
    c: int, choice: Integers, uses: Integers, first: Integers, cost: Integers, begin: Integers, child: Integers, stack: Integers,
    mark: Integers, touched: Integers, log: Integers, now: Integers,
) -> bool:  # fmt: skip
    """Give class c its best node while nothing else changes; whether the total fell."""
    better = False
    for n in range(first[c], first[c + 1]):
        if n == choice[c]:
            continue
        before = now[TOTAL]
        logged = now[LOGGED]
        seen = now[TOUCHED]
        if not switch(c, n, choice, uses, cost, begin, child, stack, touched, log, now):
            break
        if now[TOTAL] < before and not cyclic(c, n, choice, begin, child, stack, mark, now):
            better = True
        else:
            undo(logged, choice, uses, cost, begin, child, stack, touched, log, now)
            now[TOUCHED] = seen
    return better


def refresh(
    choice: Integers, uses: Integers, value: Integers, first: Integers, cost: Integers, begin: Integers, child: Integers,
    now: Integers,
) -> None:  # fmt: skip
    """Choose for every unused class the node that adds least when used classes cost nothing."""
    classes = len(choice)
    for c in range(classes):
        value[c] = 0 if uses[c] > 0 else INFINITE
    changed = True
    passes = 0
    while changed and passes < 50:
        changed = False
        passes += 1
        for c in range(classes):
            if uses[c] > 0:
                continue
            for n in range(first[c], first[c + 1]):
                now[STEPS] += 1
                v = cost[n]
                for k in range(begin[n], begin[n + 1]):
                    v += value[child[k]]
                    if v >= value[c]:
                        break
                if v < value[c]:
                    value[c] = v
                    choice[c] = n
                    changed = True


def descend(
    choice: Integers, uses: Integers, value: Integers, first: Integers, cost: Integers, begin: Integers, child: Integers,
    stack: Integers, mark: Integers, touched: Integers, log: Integers, now: Integers, limit: int,
) -> None:  # fmt: skip
    """Single switches, class after class, until none helps."""
    better = True
    while better and now[STEPS] < limit:
        refresh(choice, uses, value, first, cost, begin, child, now)
        better = False
        for c in range(len(choice)):
            if uses[c] > 0 and first[c + 1] - first[c] > 1 and now[STEPS] < limit:
                now[LOGGED] = 0
                now[TOUCHED] = 0
                if improve(c, choice, uses, first, cost, begin, child, stack, mark, touched, log, now):
                    better = True
    now[LOGGED] = 0


def share(
    u: int, choice: Integers, uses: Integers, first: Integers, cost: Integers, begin: Integers, child: Integers, owner: Integers,
    above: Integers, parent: Integers, stack: Integers, mark: Integers, touched: Integers, log: Integers, now: Integers,
) -> bool:  # fmt: skip
    """Pay for unused class u and let every used class use it that is better off; undo if that does not pay for u."""
    before = now[TOTAL]
    now[LOGGED] = 0
    acquire(u, choice, uses, cost, begin, child, stack, touched, now)
    for k in range(above[u], above[u + 1]):
        n = parent[k]
        c = owner[n]
        if uses[c] > 0 and choice[c] != n and c != u:
            total = now[TOTAL]
            logged = now[LOGGED]
            if not switch(c, n, choice, uses, cost, begin, child, stack, touched, log, now):
                break
            if now[TOTAL] >= total or cyclic(c, n, choice, begin, child, stack, mark, now):
                undo(logged, choice, uses, cost, begin, child, stack, touched, log, now)
    release(u, choice, uses, cost, begin, child, stack, touched, now)
    if now[TOTAL] < before:
        now[LOGGED] = 0
        return True
    acquire(u, choice, uses, cost, begin, child, stack, touched, now)
    undo(0, choice, uses, cost, begin, child, stack, touched, log, now)
    release(u, choice, uses, cost, begin, child, stack, touched, now)
    return False


def share_all(
    choice: Integers, uses: Integers, first: Integers, cost: Integers, begin: Integers, child: Integers, owner: Integers,
    above: Integers, parent: Integers, stack: Integers, mark: Integers, touched: Integers, log: Integers, now: Integers, limit: int,
) -> bool:  # fmt: skip
    """`share` for every unused class that two used classes could use; whether anything was saved."""
    better = False
    for u in range(len(choice)):
        if uses[u] > 0 or now[STEPS] > limit:
            continue
        users = 0
        for k in range(above[u], above[u + 1]):
            if uses[owner[parent[k]]] > 0:
                users += 1
        now[TOUCHED] = 0
        if users >= 2 and share(u, choice, uses, first, cost, begin, child, owner, above, parent, stack, mark, touched, log, now):
            better = True
    return better


def settle(
    choice: Integers, uses: Integers, first: Integers, cost: Integers, begin: Integers, child: Integers, owner: Integers,
    above: Integers, parent: Integers, stack: Integers, mark: Integers, touched: Integers, queue: Integers, queued: Integers,
    log: Integers, now: Integers, limit: int,
) -> None:  # fmt: skip
    """Improve used classes around the touched ones until none improves."""
    head = 0
    tail = 0
    examined = 0
    while now[STEPS] < limit:
        while examined < now[TOUCHED]:
            d = touched[examined]
            examined += 1
            for k in range(above[d], above[d + 1]):
                p = owner[parent[k]]
                if uses[p] > 0 and queued[p] == 0 and first[p + 1] - first[p] > 1 and tail < len(queue):
                    queued[p] = 1
                    queue[tail] = p
                    tail += 1
        if head == tail:
            break
        c = queue[head]
        head += 1
        queued[c] = 0
        if uses[c] > 0:
            improve(c, choice, uses, first, cost, begin, child, stack, mark, touched, log, now)
    for k in range(head, tail):
        queued[queue[k]] = 0


def perturb(
    choice: Integers, uses: Integers, first: Integers, cost: Integers, begin: Integers, child: Integers, owner: Integers,
    above: Integers, parent: Integers, stack: Integers, mark: Integers, touched: Integers, queue: Integers, queued: Integers,
    log: Integers, now: Integers, kicks: int, limit: int,
) -> None:  # fmt: skip
    """Random switches, each followed by `settle`; kept when the total did not grow."""
    classes = len(choice)
    open_classes = 0
    for c in range(classes):
        if uses[c] > 0 and first[c + 1] - first[c] > 1:
            open_classes += 1
    if open_classes == 0:
        return
    for _ in range(kicks):
        if now[STEPS] > limit:
            break
        before = now[TOTAL]
        now[LOGGED] = 0
        now[TOUCHED] = 0
        now[RANDOM] = (now[RANDOM] * 1103515245 + 12345) & 0x7FFFFFFF
        c = (now[RANDOM] >> 8) % classes
        while uses[c] == 0 or first[c + 1] - first[c] < 2:
            now[STEPS] += 1
            c = c + 1 if c + 1 < classes else 0
            if now[STEPS] > limit:
                return
        now[RANDOM] = (now[RANDOM] * 1103515245 + 12345) & 0x7FFFFFFF
        n = first[c] + (now[RANDOM] >> 8) % (first[c + 1] - first[c])
        if n == choice[c] or cyclic(c, n, choice, begin, child, stack, mark, now):
            continue
        switch(c, n, choice, uses, cost, begin, child, stack, touched, log, now)
        settle(choice, uses, first, cost, begin, child, owner, above, parent, stack, mark, touched, queue, queued, log, now, limit)
        if now[TOTAL] > before:
            undo(0, choice, uses, cost, begin, child, stack, touched, log, now)
    now[LOGGED] = 0


def search(
    choice: Integers, uses: Integers, value: Integers, first: Integers, cost: Integers, begin: Integers, child: Integers,
    owner: Integers, above: Integers, parent: Integers, stack: Integers, mark: Integers, touched: Integers, queue: Integers,
    queued: Integers, log: Integers, now: Integers, kicks: int, limit: int,
) -> None:  # fmt: skip
    """Descend, share, and perturb in turn until the steps or the kicks are spent."""
    better = True
    while better and now[STEPS] < limit:
        descend(choice, uses, value, first, cost, begin, child, stack, mark, touched, log, now, limit)
        better = share_all(choice, uses, first, cost, begin, child, owner, above, parent, stack, mark, touched, log, now, limit)
    rounds = 8
    for _ in range(rounds):
        if now[STEPS] > limit:
            break
        perturb(
            choice,
            uses,
            first,
            cost,
            begin,
            child,
            owner,
            above,
            parent,
            stack,
            mark,
            touched,
            queue,
            queued,
            log,
            now,
            kicks // rounds,
            limit,
        )
        descend(choice, uses, value, first, cost, begin, child, stack, mark, touched, log, now, limit)
        share_all(choice, uses, first, cost, begin, child, owner, above, parent, stack, mark, touched, log, now, limit)


ORDER = (
    "acquire",
    "release",
    "switch",
    "undo",
    "cyclic",
    "improve",
    "refresh",
    "descend",
    "share",
    "share_all",
    "settle",
    "perturb",
    "search",
)
