"""Many small chains of maps and reductions at once: `python -m benchmarks chains`.

The program is a normalization of a vector with three reductions and what follows them. Alone it is a call for each vector; over a batch axis it is
one kernel.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.maps import Line, compiled, least

WIDTH = 64
BATCHES = (1, 8, 64, 512)
CALLS = 50
LARGE = (4096, 4096)
TEXT = """dim {dims}i
tensor x[{batch}i]
let m{left} = mean[i](x)
let v{left} = mean[i]((x - m)^2)
let y[{batch}i] = (x - m)/sqrt(v + 1e-5)
let s{left} = sum[i](exp(-y^2))
let e{left} = max[i](tanh(y)*x)
"""


def text(batched: bool) -> str:
    return TEXT.format(dims="b, " if batched else "", batch="b, " if batched else "", left="[b]" if batched else "")


def batches() -> Iterator[Line]:
    for count in BATCHES:
        x = np.random.default_rng(0).standard_normal((count, WIDTH))
        whole = compiled(text(True), {"b": count, "i": WIDTH}, {"x": x})
        single = [compiled(text(False), {"i": WIDTH}, {"x": row}) for row in x[:8]]
        ours = least(lambda whole=whole: [whole.run(1) for _ in range(CALLS)]) / CALLS
        alone = least(lambda single=single: [one.run(1) for one in single for _ in range(CALLS)]) / CALLS / len(single)
        found = whole.results()
        apart = max(float(np.abs(found[n][k] - one.results()[n]).max()) for k, one in enumerate(single) for n in "mvyse")
        ratio, kernels = count * alone / ours, len(whole.executable.kernels)
        figure = f"{ratio:.1f}x separate calls ({ours * 1e6:.3g} us, {kernels} kernel{'s' * (kernels > 1)}), outputs differ by {apart:.0e}"
        bar = count >= 64
        reached = (ratio >= 10 and kernels == 1 and apart < 1e-12) if bar else None
        yield f"{count} chains of {WIDTH} numbers", figure, ">= 10x, one kernel" if bar else "", reached


def normalization() -> Iterator[Line]:
    """Rows of a large array, normalized in one pass, beside torch.compile."""
    import torch

    rows, width = LARGE
    x = np.random.default_rng(0).standard_normal(LARGE)
    model = "dim b, i\ntensor x[b, i]\nlet y[b, i] = (x - mean[i](x))/sqrt(mean[i]((x - mean[i](x))^2) + 1e-5)\n"
    for threads in (1, 2):
        torch.set_num_threads(threads)
        ready = compiled(model, {"b": rows, "i": width}, {"x": x})
        tensor = torch.from_numpy(x)
        ran = torch.compile(lambda t: torch.nn.functional.layer_norm(t, (width,), eps=1e-5))
        seconds = least(lambda ran=ran, tensor=tensor: ran(tensor))
        ours = least(lambda ready=ready, threads=threads: ready.run(threads))
        apart = float(np.abs(ready.results()["y"] - ran(tensor).numpy()).max())
        figure = f"{seconds / ours:.2f}x torch.compile ({ours * 1e3:.3g} ms, {16e-9 * rows * width / ours:.1f} GB/s), outputs differ by {apart:.0e}"
        name = f"layer norm of {rows} x {width}, {threads} thread{'s' * (threads > 1)}"
        yield name, figure, ">= 1x", seconds >= ours and apart < 1e-12


def lines() -> Iterator[Line]:
    yield from batches()
    yield from normalization()
