"""Makes Pulumi, its plugins, Docker and the images available on a machine.

Standard library only, because it runs before there is a virtual environment.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the one place that an older Python reaches
    sys.exit("Python 3.11 or newer is needed. Say which one: make PYTHON=python3.11 ...")
