"""The benchmarks: Muster against the same calls and container starts, made directly.

They run in the workplaces of the engine's tests.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests" / "engine"))
