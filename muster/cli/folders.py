"""The folder of a project. Apart from the rest, for the shell's completion has to be quick."""

from pathlib import Path

from toolchain.paths import ROOT

PROJECT_FILE = "Pulumi.yaml"
STACKS = "stacks"


def project_folder() -> Path:
    """Return the project's folder: the nearest one upwards that is Muster's, else our own."""
    here = Path.cwd()
    for candidate in (here, *here.parents):
        if (candidate / PROJECT_FILE).is_file() and (candidate / STACKS).is_dir():
            return candidate
    return ROOT
