"""`output` and `plot` of models without time: the same numbers as the results, complete files, no axis `t`."""

import json

import numpy as np
import pytest

from ricci.driver import Settings
from ricci.errors import Source
from ricci.faces.execute import execute


def run(folder, text, backend="cpu", plot=False):
    return execute(Source(str(folder / "case.model"), text), Settings(backend=backend), out=str(folder), plot=plot)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_definitions_and_expressions(tmp_path, backend):
    text = """dim i = 3, j = 4
tensor L[i]: [cm] = (1 + i)*1 [cm], M[j]: [m] = (2 - j)*1 [m]
let P[j, i]: [cm^2] = L[i]*M[j]
output P, L[i]*L[i], L[i] > 1.5 [cm] to "r.npz"
"""
    outcome = run(tmp_path, text, backend)
    with np.load(tmp_path / "r.npz") as data:
        lengths, widths = np.array([1.0, 2.0, 3.0]), np.array([200.0, 100.0, 0.0, -100.0])
        np.testing.assert_allclose(data["P"], np.outer(widths, lengths), rtol=1e-12)
        np.testing.assert_allclose(data["L_i_L_i"], 14, rtol=1e-12)
        assert data["L_i_1_5_cm"].tolist() == [False, True, True]
        assert "t" not in data
        metadata = json.loads(str(data["metadata"]))
    np.testing.assert_allclose(outcome.results["P"].values, np.outer(widths, lengths), rtol=1e-12)
    assert outcome.results["P"].unit == "cm^2"
    assert metadata["axes"] == {"P": ["j", "i"], "L_i_L_i": [], "L_i_1_5_cm": ["i"]}
    assert metadata["units"] == {"P": "cm^2", "L_i_L_i": "cm^2", "L_i_1_5_cm": ""}
