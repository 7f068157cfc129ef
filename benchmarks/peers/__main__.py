"""One measurement: `python -m benchmarks.peers TOOL CASE THREADS FILE`; the field goes to FILE, seconds a step to the output."""

import importlib
import json
import sys

import numpy as np

from benchmarks.peers import CASES

tool, case, threads, path = sys.argv[1:]
module = importlib.import_module(f"benchmarks.peers.with_{tool}")
seconds, values = module.run(case, CASES[case], int(threads))
np.save(path, np.asarray(values))
print(json.dumps({"seconds": seconds}))
