"""The virtual environment, and what activating it sets."""

import contextlib
import importlib.util
import os
import secrets
import shlex
import shutil
import sys
import venv

from muster.hosts import ALWAYS_DIRECT
from toolchain import stamps
from toolchain.paths import BIN, MUSTER, PASSPHRASE, PULUMI_HOME, ROOT, STATE, VENV
from toolchain.shell import ask, run
from toolchain.steps import Step

VARIABLES = {
    "PULUMI_CONFIG_PASSPHRASE_FILE": PASSPHRASE,
    "PULUMI_HOME": PULUMI_HOME,
}
"""What Pulumi needs. A value of the user's own wins, another checkout's does not."""

PACE = {
    "PULUMI_PARALLEL": "4",
    "PULUMI_PARALLEL_DIFF": "true",
}
"""How Pulumi goes about its work, unless the user says otherwise.

Four operations at a time, as many as the host of the dynamic resources serves (Pulumi 3.256).
Pulumi's own choice is four a processor: nothing is done any sooner, and an agent that is rotated
stands still for longer, since its container's end and start share the processors with everybody's.

Resources are compared side by side too. Pulumi's own choice is one after the other: a crew of 50
waits a fifth longer for its preview.
"""

COMMAND = """\
#!{python}
from muster.cli.main import main

main()
"""
"""The `muster` command, in the environment's bin."""

DIRECT = ",".join(ALWAYS_DIRECT)
"""What Pulumi's processes reach without a proxy: each other. gRPC for Python asks a proxy for
loopback too, unless `no_proxy` lists it.
"""

FROM_ANY_FOLDER = """\
pulumi() {
    muster_folder=$PWD
    until [ -z "$muster_folder" ] ||
        { [ -f "$muster_folder/Pulumi.yaml" ] && [ -d "$muster_folder/stacks" ]; }
    do muster_folder=${muster_folder%/*}; done
    command pulumi ${muster_folder:+"--cwd=$muster_folder"} "$@"
}"""
"""Runs Pulumi in the project's folder.

Pulumi (3.256) finds Pulumi.yaml from the folders below it, but takes the address of the state in it
for relative to the folder where it was started.
"""

BEGIN, END = "# >>> muster", "# <<< muster"


def plan() -> list[Step]:
    """Return what is to be done for the virtual environment."""
    missing = []
    if importlib.util.find_spec("ensurepip") is None:
        missing.append("Python's venv module is missing: apt-get install python3-venv")
    if shutil.which("git") is None:
        missing.append("git is missing: apt-get install git")
    if stamps.fits("venv", _stamp()) and (BIN / "python").exists() and not missing:
        return []
    return [Step("Python packages: install", _install, tuple(missing))]


def configure() -> None:
    """Write the passphrase, the state's folder, and what activation sets; safe to repeat."""
    STATE.mkdir(parents=True, exist_ok=True)
    write_passphrase()
    silence()
    # Programs and dynamic providers import our packages whatever the working directory is.
    (VENV / "lib" / _python() / "site-packages" / "muster.pth").write_text(f"{ROOT}\n")
    command = BIN / "muster"
    command.write_text(COMMAND.format(python=BIN / "python"))
    command.chmod(0o755)
    activate = BIN / "activate"
    text = activate.read_text().partition(BEGIN)[0]
    activate.write_text(text + activation())


def write_passphrase() -> None:
    """Make the passphrase that encrypts secrets in the state, unless there is one."""
    MUSTER.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        made = os.open(PASSPHRASE, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(made, "w") as file:
            file.write(secrets.token_urlsafe(32))


def silence() -> None:
    """Keep Pulumi from its automatic log, unless somebody made a folder for it.

    Pulumi (3.256) writes every property of every resource to PULUMI_HOME/logs, encrypted, up to
    500 MB. That is half of the engine's work in a preview, and secrets rest in one place more. It
    has no switch (pulumi/pulumi#22416), but goes without where that folder cannot be made.
    """
    PULUMI_HOME.mkdir(parents=True, exist_ok=True)
    log = PULUMI_HOME / "logs"
    if not log.exists():
        log.touch()


def activation() -> str:
    """Return what stands at the end of bin/activate."""
    lines = [BEGIN]
    for name, path in VARIABLES.items():
        ours = path.relative_to(ROOT)
        lines.append(f'case "${{{name}:-}}" in ""|*/{ours})')
        lines.append(f"    export {name}={shlex.quote(str(path))} ;; esac")
    lines += [f': "${{{name}:={value}}}"; export {name}' for name, value in PACE.items()]
    lines += [
        'if [ -n "${http_proxy:-}${https_proxy:-}${HTTP_PROXY:-}${HTTPS_PROXY:-}" ]; then',
        '    no_proxy="${no_proxy:-${NO_PROXY:-}}"',
        f'    case ",$no_proxy," in *",{DIRECT},"*) ;;',
        f'    *) no_proxy="${{no_proxy:+$no_proxy,}}{DIRECT}" ;; esac',
        '    export no_proxy NO_PROXY="$no_proxy"; fi',
        "export PULUMI_SKIP_UPDATE_CHECK=true",
        FROM_ANY_FOLDER,
        END,
        "",
    ]
    return "\n".join(lines)


def _python() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def _stamp() -> str:
    files = (ROOT / "requirements.txt", ROOT / "requirements.lock")
    return stamps.digest(str(ROOT), sys.version, *files)


def _install() -> None:
    version = "import sys; print(sys.version)"
    usable = ask(BIN / "python", "-c", version) == sys.version
    venv.create(VENV, clear=not usable, symlinks=True, with_pip=True)
    run(
        *(BIN / "python", "-m", "pip", "install", "--disable-pip-version-check"),
        *("-r", ROOT / "requirements.txt", "-c", ROOT / "requirements.lock"),
        log="pip",
    )
    stamps.write("venv", _stamp())
