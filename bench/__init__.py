"""The benchmarks: Muster against the same calls and container starts, made directly.

They run in the workplaces of the engine's tests.
"""

import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]
sys.path += [str(_ROOT / part) for part in ("tests/engine", "images/agent", "images/endpoint")]
