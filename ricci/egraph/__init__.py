"""The optimizer: exact equalities of terms in an e-graph, planners for what rules cannot compute, extraction by cost."""

from ricci.egraph.explain import FunctionReport, Report
from ricci.egraph.optimize import optimize, optimize_function

__all__ = ["FunctionReport", "Report", "optimize", "optimize_function"]
