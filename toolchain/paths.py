"""Where set-up puts things; all of it is ignored by git."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
BIN = VENV / "bin"

MUSTER = ROOT / ".muster"
STATE = MUSTER / "state"
PASSPHRASE = MUSTER / "passphrase"
PULUMI_HOME = MUSTER / "pulumi"
STAMPS = MUSTER / "stamps"
LOGS = MUSTER / "log"
BUILD = MUSTER / "build"
