"""The images, each chosen here and known to everybody else by one name.

`muster-base` is Debian, pulled or made with debootstrap. `muster-forge` is Forgejo, pulled, or
Gitea, built here. `muster-agent` is built on the base, and the demo's `muster-scripted-endpoint`
on `muster-agent`. A second tag holds the version that a name stands for, so that a second run sees
that nothing is to be done.
"""

import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from toolchain import agent_parts, docker_engine, golang, stamps, versions
from toolchain.paths import BUILD, ROOT
from toolchain.shell import ask, can_install_packages, install_packages, run, within
from toolchain.steps import SetupError, Step

FOLDER = ROOT / "images"

BASE, FORGE, AGENT = "muster-base", "muster-forge", "muster-agent"
ENDPOINT = "muster-scripted-endpoint"

SHARED = ("__init__.py", "endpoint.py", "errors.py", "forge", "hosts.py")
"""What the agent's runtime shares with the rest, below `muster/`."""

OWN_BASE = f"{BASE}:{versions.DEBIAN_SUITE}"

GITEA = "code.gitea.io/gitea"

NO_BASE = f"""\
The image {versions.BASE_IMAGE} cannot be pulled: pull or load it by hand \
(as root on Debian or Ubuntu, set-up makes one with debootstrap)"""

PROBE_SECONDS = 10.0
"""A registry that has not begun to send an image by then is out of reach."""


def plan() -> list[Step]:
    """Return what is to be done for the images; all that may be, where no engine answers yet."""
    steps = []
    engine = docker_engine.answers()
    if not (engine and _stands_for(BASE, versions.BASE_IMAGE, OWN_BASE)):
        steps.append(Step("Base image", _make_base, _missing_for_base()))
    if not (engine and _stands_for(FORGE, versions.FORGE_IMAGE, _own_forge())):
        title = "Forge image (6 minutes where it is built)"
        steps.append(Step(title, _make_forge, _missing_for_forge()))
    # The tests run Claude Code outside its image too, so a checkout needs it if the image exists.
    if not (engine and agent_parts.are_made()):
        steps.append(Step("Claude Code (downloads 180 MB)", agent_parts.make))
    if not (engine and _stands_for(AGENT, own_agent())):
        steps.append(Step("Agent image", _make_agent))
    if not (engine and _stands_for(ENDPOINT, _own_endpoint())):
        steps.append(Step("Scripted endpoint's image", _make_endpoint))
    return steps


def own_agent() -> str:
    """Return the agent image's name, whose tag tells what it is built from."""
    shared = [ROOT / "muster" / name for name in SHARED]
    return f"{AGENT}:{stamps.digest(FOLDER / 'agent', *shared, _id(BASE) or '')}"


def _own_endpoint() -> str:
    return f"{ENDPOINT}:{stamps.digest(FOLDER / 'endpoint', _id(AGENT) or '')}"


def _stands_for(name: str, *candidates: str) -> bool:
    """Whether a name is that of one of the images."""
    named = _id(name)
    return named is not None and named in map(_id, candidates)


def _id(image: str) -> str | None:
    """Return an image's id, None where this machine does not have it."""
    return ask("docker", "image", "inspect", "--format", "{{.Id}}", image)


def _own_forge() -> str:
    version = versions.go_module("gitea", GITEA)
    return f"{FORGE}:{version}-{stamps.digest(FOLDER / 'forge', _gitea().stamp(), _id(BASE) or '')}"


def _make_base() -> None:
    if _id(OWN_BASE) is None and not _pull(versions.BASE_IMAGE):
        _debootstrap()
    _name(BASE, versions.BASE_IMAGE, OWN_BASE)


def _make_forge() -> None:
    own = _own_forge()
    if _id(own) is None and not _pull(versions.FORGE_IMAGE):
        gitea = _gitea()
        if not gitea.is_built():
            if lacks := gitea.missing():
                raise SetupError("\n".join(lacks))
            gitea.build()
        _build(own, {".": FOLDER / "forge", "gitea": gitea.output, **_assets()})
    _name(FORGE, versions.FORGE_IMAGE, own)


def _make_agent() -> None:
    own = own_agent()
    if _id(own) is None:
        contents = {".": FOLDER / "agent", "libraries": agent_parts.LIBRARIES}
        contents |= {f"muster/{name}": ROOT / "muster" / name for name in SHARED}
        _build(own, contents | {"claude": agent_parts.CLAUDE})
    _name(AGENT, own)


def _make_endpoint() -> None:
    own = _own_endpoint()
    if _id(own) is None:
        _build(own, {".": FOLDER / "endpoint"}, base=AGENT)
    _name(ENDPOINT, own)


def _name(name: str, *candidates: str) -> None:
    """Give the first of the candidates that is there its name."""
    chosen = next(image for image in candidates if _id(image))
    run("docker", "tag", chosen, f"{name}:latest", log="docker")


def _missing_for_base() -> tuple[str, ...]:
    can_make = os.geteuid() == 0 and (shutil.which("debootstrap") or can_install_packages())
    if can_make or not docker_engine.answers() or _can_pull(versions.BASE_IMAGE):
        return ()
    return (NO_BASE,)


def _missing_for_forge() -> tuple[str, ...]:
    gitea = _gitea()
    lacks = () if gitea.is_built() else gitea.missing()
    if not lacks or not docker_engine.answers() or _can_pull(versions.FORGE_IMAGE):
        return ()
    return lacks


def _pull(image: str) -> bool:
    """Pull an image; return whether that worked, within seconds where it does not."""
    pulling = _begin_pull(image)
    if pulling is None:
        return False
    pulling.communicate()
    return pulling.returncode == 0


def _can_pull(image: str) -> bool:
    pulling = _begin_pull(image)
    if pulling is None:
        return False
    pulling.kill()
    pulling.communicate()
    return True


def _begin_pull(image: str) -> subprocess.Popen[str] | None:
    pulling = subprocess.Popen(
        ["docker", "pull", image], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    output = pulling.stdout
    if output and within(PROBE_SECONDS, lambda: "Pulling from" in output.readline()):
        return pulling
    pulling.kill()
    pulling.communicate()
    return None


def _debootstrap() -> None:
    """Make the base image from Debian's packages."""
    if shutil.which("debootstrap") is None:
        install_packages("debootstrap")
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        root, archive = Path(folder) / "root", Path(folder) / "root.tar"
        minimal = ("debootstrap", "--variant=minbase", versions.DEBIAN_SUITE)
        run(*minimal, root, *_mirror(), log="debootstrap")
        run(
            *("tar", "--create", "--numeric-owner", f"--file={archive}", f"--directory={root}"),
            *("--exclude=./var/cache/apt/archives/*.deb", "--exclude=./var/lib/apt/lists/*", "."),
            log="debootstrap-tar",
        )
        run("docker", "import", "--change", 'CMD ["bash"]', archive, OWN_BASE, log="docker")


def _mirror() -> list[str]:
    """Return this machine's Debian mirror, where it has one, else leave it to debootstrap."""
    main = ("Created-By: Packages", "Label: Debian", "Component: main")
    sites = ask("apt-get", "indextargets", "--format", "$(SITE)", *main) or ""
    return sites.split()[:1]


def _gitea() -> golang.Program:
    # Linked statically, because this machine's C library may be newer than the image's.
    return golang.Program(
        module="gitea",
        package=GITEA,
        output=BUILD / "gitea",
        link="-linkmode external -extldflags -static -X main.Version="
        + versions.go_module("gitea", GITEA),
        tags="sqlite sqlite_unlock_notify netgo osusergo",
        cgo=True,
    )


def _assets() -> dict[str, Path]:
    """Return what Gitea reads from disk; built into the binary it would need a front-end build."""
    source = golang.source("gitea", GITEA)
    if source is None:
        raise SetupError(f"The Go module {GITEA} cannot be fetched; the forge needs its templates.")
    return {f"static/{name}": source / name for name in ("options", "public", "templates")}


def _build(image: str, contents: dict[str, Path], base: str = BASE) -> None:
    """Build an image on another one.

    Args:
        image: its name.
        contents: the build's context: the path in it, and the file or folder that goes there.
        base: the image that it is built on.
    """
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=BUILD, suffix=".tar") as context:
        with tarfile.open(fileobj=context, mode="w") as archive:
            for name, path in contents.items():
                archive.add(path, name, filter=_plain)
        context.flush()
        command = ("docker", "build", "--build-arg", f"BASE={base}", "--tag", image)
        log = f"image-{image.partition(':')[0]}"
        try:
            run(*command, "-", log=log, stdin=Path(context.name))
        except SetupError:
            # Some machines give containers no way out but the host's own network.
            run(*command, "--network=host", "-", log=log, stdin=Path(context.name))


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out whose file it was and when, so that the same content is the same image."""
    if "__pycache__" in entry.name:
        return None
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry
