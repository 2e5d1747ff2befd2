"""The program of Pulumi's project; see `components/program.py`."""

import pulumi

from components.program import main, tune_sdk

tune_sdk()
pulumi.run(main)
