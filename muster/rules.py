"""The rules that single values of a roster follow.

Each function returns the value, normalised where that is said, or raises a `ValueError` whose
message tells what is wrong and what would be right.
"""

import difflib
import re
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from urllib.parse import SplitResult, urlsplit

from muster import hosts

NAME_PATTERN = "^[a-z]([a-z0-9]|-[a-z0-9])*$"
"""Agents and roles. Source: disinto's hire-an-agent."""

NAME_LENGTH = 40
"""The longest bot user that Forgejo takes, and so the longest agent."""

PROJECT_PATTERN = "^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$"
"""What Docker takes in containers' names and compose takes as a project's name."""

REPOSITORY_PATTERN = r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$"
MEMORY_PATTERN = r"^[0-9]+(\.[0-9]+)? ?[kmgtKMGT]?[iI]?[bB]?$"
"""Source: docker/go-units, RAMInBytes, which reads compose's and Docker's limits."""

ROLES = ("dev", "review", "gardener", "architect", "planner", "predictor", "supervisor")
"""The roles whose formulas ship with the runtime."""

FORMULAS = ".muster/formulas"
"""Where a repository keeps the formulas of its own roles."""

WRITING_ROLES = ("dev", "gardener")
"""The roles whose work changes a repository: branches and claims, labels."""

VARIABLE_PATTERN = "^[A-Za-z_][A-Za-z0-9_]*$"

# Linux 6.18: include/uapi/linux/capability.h.
CAPABILITIES = frozenset(
    [
        "AUDIT_CONTROL",
        "AUDIT_READ",
        "AUDIT_WRITE",
        "BLOCK_SUSPEND",
        "BPF",
        "CHECKPOINT_RESTORE",
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "IPC_LOCK",
        "IPC_OWNER",
        "KILL",
        "LEASE",
        "LINUX_IMMUTABLE",
        "MAC_ADMIN",
        "MAC_OVERRIDE",
        "MKNOD",
        "NET_ADMIN",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_RAW",
        "PERFMON",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYSLOG",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_CHROOT",
        "SYS_MODULE",
        "SYS_NICE",
        "SYS_PACCT",
        "SYS_PTRACE",
        "SYS_RAWIO",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "WAKE_ALARM",
    ]
)

_NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# Docker knows no aliases on its own networks, and agents are found by alias.
_DOCKERS_NETWORKS = {"bridge", "default", "host", "none"}
_DOCKER_HOST_SCHEMES = {"npipe", "ssh", "tcp", "unix"}
_IMAGE = re.compile(
    r"([A-Za-z0-9.-]+(:\d+)?/)?"  # registry
    r"[a-z0-9]+([._/-]+[a-z0-9]+)*"
    r"(:\w[\w.-]*)?"  # tag
    r"(@sha256:[0-9a-f]{64})?"
)
_CONTAINER_USER = re.compile(r"\w[\w.-]*(:\w[\w.-]*)?", re.ASCII)
_ANTHROPIC = "api.anthropic.com"
_APPENDED = re.compile(r"/+v1(/+messages(/+count_tokens)?|/+models)?$")
"""What Claude Code adds to `base_url` itself (anthropics/claude-code#20416)."""

_FOREIGN_API = re.compile(
    r"(/v1)?/+(chat/completions|completions|responses|embeddings)$"
    r"|/api/(chat|generate|tags|ps|show|v0(/.*)?)$|/health$"
)
"""Paths of the OpenAI API, of Ollama's and LM Studio's own, and of a health check."""

_FORGE_API = re.compile(r"/+api/(v1|swagger)(/.*)?$")
_LEAST_MEMORY = 6 * 1024**2  # Docker's own limit
_BYTES = {"g": 1024**3, "m": 1024**2, "k": 1024, "b": 1}
_TERABYTE = 1024**4

# Forgejo: modules/validation, IsValidUsername.
_FORGE_USER = re.compile(r"[A-Za-z0-9]([-._]?[A-Za-z0-9])*")
# Forgejo 16: models/user/user.go; Gitea reserves some of them.
_RESERVED = {
    "actor",
    "admin",
    "api",
    "assets",
    "attachments",
    "avatar",
    "avatars",
    "captcha",
    "devtest",
    "explore",
    "favicon.ico",
    "forgejo-actions",
    "ghost",
    "gitea-actions",
    "issues",
    "login",
    "manifest.json",
    "metrics",
    "milestones",
    "notifications",
    "org",
    "pulls",
    "repo",
    "repo-avatars",
    "report_abuse",
    "robots.txt",
    "sitemap.xml",
    "ssh_info",
    "swagger.v1.json",
    "user",
    "v2",
}
RESERVED_BEFORE = {"commits", "debug", "error", "new", "raw", "search", "serviceworker.js"}
"""What Forgejo before 10 and Gitea before 1.23 reserve besides (7855e4bb56 removed it in both)."""

_RESERVED_PATTERNS = ("*.keys", "*.gpg", "*.rss", "*.atom", "*.png")

_KEY = re.compile(
    r"""(?<![A-Za-z0-9])(
    sk-(ant|or|proj|svcacct|admin|None|lm)-[\w:-]*   # Anthropic, OpenRouter, OpenAI, LM Studio
    | sk-[\w-]{32,}              # OpenAI, DeepSeek, Moonshot, DashScope
    | sk-(?=[\w-]*[a-z])(?=[\w-]*[A-Z])(?=[\w-]*[0-9])[\w-]{20,}  # LiteLLM's virtual keys
    | (gsk|hf|fw|r8)_[A-Za-z0-9]{20,}    # Groq, Hugging Face, Fireworks, Replicate
    | api_org_[A-Za-z]{30,}      # Hugging Face, organizations
    | tgp_v1_[\w-]{30,}          # Together
    | AIza[\w-]{30,}             # Google
    | AQ\.[\w-]{40,}             # Google, Vertex express
    | xai-[A-Za-z0-9]{40,}       # xAI
    | nvapi-[\w-]{40,}           # NVIDIA
    | pplx-[A-Za-z0-9]{32,}      # Perplexity
    | csk-[a-z0-9]{40,}          # Cerebras
    | (AKIA|ASIA)[A-Z0-9]{16}    # AWS
    | (ABSK|bedrock-api-key-)[\w+/=-]{40,}  # AWS Bedrock
    | dapi[0-9a-f]{32}           # Databricks
    | [0-9a-f]{32}\.[A-Za-z0-9]{16}(?![A-Za-z0-9])  # Z.ai, Zhipu
    | (gh[pousr]_|github_pat_|glpat-)\w{20,}  # GitHub, whose models take these, and GitLab
    )""",
    re.VERBOSE,
)
"""Real keys of providers, each as its provider issues them."""

KEY_PATTERN = re.sub(r"\s+#[^\n]*|\s+", "", _KEY.pattern).replace(
    "(?<![A-Za-z0-9])", "(^|[^A-Za-z0-9])", 1
)
"""The same for JSON Schema, whose patterns have no comments, and not everywhere look-behinds."""

_SECRET = re.compile(rf"{_KEY.pattern}|(?<=://)[^/\s]*@", re.VERBOSE)
"""Real keys, and what stands before a URL's host."""

# What names of variables say that hold a secret. MAX_OUTPUT_TOKENS counts some.
_SECRETS_NAME = re.compile(r"(^|_)(TOKEN|KEY|PAT|CREDENTIALS?)$|(^|_)PASS|SECRET", re.IGNORECASE)

OWN_VARIABLES: dict[str, str | None] = {
    "AGENT_FORMULA": "formula",
    "AGENT_NAME": None,
    "AGENT_ROLES": "roles",
    "ANTHROPIC_BASE_URL": "base_url",
    "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE": "compact_pct",
    "CLAUDE_CODE_ATTRIBUTION_HEADER": None,
    "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": None,
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": None,
    "CLAUDE_CODE_MAX_CONTEXT_TOKENS": "context_window",
    "CLAUDE_CODE_MAX_OUTPUT_TOKENS": None,
    "CLAUDE_CONFIG_DIR": None,
    "CLAUDE_MODEL": "model",
    "DISABLE_AUTOUPDATER": None,
    "DISABLE_ERROR_REPORTING": None,
    "DISABLE_TELEMETRY": None,
    "DISINTO_CONTAINER": None,
    "FORGE_OPS_REPO": "ops_repo",
    "FORGE_REPO": "repo",
    "FORGE_URL": "forge_internal_url under [muster]",
    "POLL_INTERVAL": "poll_interval",
    "PRIMARY_BRANCH": "primary_branch",
    "PROJECT_NAME": "name",
    "PROJECT_REPO_ROOT": None,
}
"""The variables that Muster sets beside FORGE_* and MUSTER_*, and the field that each follows."""

_FACTORYS_VARIABLES = {"FORGE_BOT_USERNAMES"}
"""Variables of disinto's that are named like Muster's."""


def without_secrets(text: str) -> str:
    """Return a text in which nothing looks like a real API key, or credentials in a URL."""
    return _SECRET.sub("…", text)


def name(value: str) -> str:
    """Check the name of an agent or a role."""
    if not re.fullmatch(NAME_PATTERN, value):
        raise ValueError(
            f'"{value}" is no valid name; use small letters, digits and single hyphens, '
            'a letter first and no hyphen last, such as "dev-qwen"'
        )
    return _at_most(value, NAME_LENGTH)


def project(value: str) -> str:
    """Check the project's name, which containers, volumes and networks carry in theirs."""
    if not re.fullmatch(PROJECT_PATTERN, value):
        raise ValueError(
            f'"{value}" cannot name containers; use small letters, digits, hyphens and '
            f'underscores, a letter or digit first and last, such as "my-project"'
        )
    return _at_most(value, NAME_LENGTH)


def repository(value: str) -> str:
    """Check the name of a repository at the forge; slashes around it and `.git` go."""
    name = value.strip("/").removesuffix(".git")
    if re.fullmatch(REPOSITORY_PATTERN, name):
        return name
    # https://host/owner/name, ssh://git@host/owner/name, git@host:owner/name
    address = re.search(r"^(?:\w+://|[\w.-]+@).*[/:]([\w.-]+/[\w.-]+)$", name)
    if address:
        raise ValueError(
            "this is a repository's address; write owner and name alone, "
            f'such as "{address[1]}", and the forge as forge_url'
        )
    raise ValueError(f'"{value}" is no repository; write owner/name, such as "acme/site"')


def repositories(value: tuple[str, ...]) -> tuple[str, ...]:
    """Check that no repository stands there twice; a forge knows them by name in any case."""
    seen: set[str] = set()
    for each in value:
        if each.lower() in seen:
            raise ValueError(f'"{each}" is listed twice; list each repository once')
        seen.add(each.lower())
    return value


def branch(value: str) -> str:
    """Check the name of a branch, as far as git's rules matter here."""
    if not re.fullmatch(r"[^\s~^:?*\[\\-][^\s~^:?*\[\\]*", value) or ".." in value:
        raise ValueError(f'"{value}" is no name of a branch; write one such as "main"')
    return value


def forge_user(value: str) -> str:
    """Check the name of a bot user."""
    if not _FORGE_USER.fullmatch(value):
        raise ValueError(
            f'"{value}" is no name that the forge takes; use letters, digits and single hyphens, '
            'underscores and dots between them, such as "dev-qwen"'
        )
    lowered = value.lower()
    if lowered in _RESERVED or any(fnmatchcase(lowered, rule) for rule in _RESERVED_PATTERNS):
        raise ValueError(
            f'"{value}" is reserved by the forge; set forge_user to another name, '
            f'such as "{lowered.partition(".")[0]}-bot"'
        )
    return _at_most(value, NAME_LENGTH)


def email_domain(value: str) -> str:
    """Check the domain of addresses; it is normalised to small letters."""
    if not re.fullmatch(
        r"(?=.{1,200}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9-]+)+", value.lower()
    ):
        raise ValueError(
            f'"{value}" is not a domain; write what follows the @, such as "bots.example.org"'
        )
    return value.lower()


def authors(value: object) -> object:
    """Check whose issues and comments trigger work: a keyword, or a list of forge users."""
    if value in ("writers", "anyone"):
        return value
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(
            'must be "writers", "anyone" or a list of forge users, such as ["ann", "bob"]'
        )
    for user in value:
        if not isinstance(user, str) or not _FORGE_USER.fullmatch(user):
            raise ValueError(f'"{user}" is not a valid forge user; write user names, such as "ann"')
    return tuple(value)


def repository_path(value: str) -> str:
    """Check a path relative to the repository's root; a slash at its end is removed."""
    path = PurePosixPath(value)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in value:
        raise ValueError(
            f'"{value}" is not a path in the repository; '
            'write a relative path without "..", such as "docs/dev.md"'
        )
    return str(path)


def url(value: str) -> str:
    """Check a web address; trailing slashes go."""
    if any(character.isspace() for character in value):
        raise ValueError("the URL has a space in it; remove it")
    try:
        parts = urlsplit(value)
        valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if "@" in value:
        raise ValueError("the URL has credentials in it; remove them, up to and with the @")
    if not valid:
        raise ValueError(
            f'"{value}" is no URL; write http:// or https:// and a host, '
            'such as "http://10.0.0.5:8081"'
        )
    if parts.query or parts.fragment:
        raise ValueError(f'"{value}" has a ? or # in it; leave out what begins there')
    return _canonical(parts)


def _canonical(parts: SplitResult) -> str:
    """Return a URL in the one form in which it is compared: host in lower case, no default port."""
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}[parts.scheme]
    port = f":{parts.port}" if parts.port and parts.port != default else ""
    return f"{parts.scheme}://{host}{port}{parts.path}".rstrip("/")


def url_inside(value: str) -> str:
    """Check a web address as seen from inside a container; trailing slashes go."""
    checked = url(value)
    if hosts.is_loopback(checked):
        raise ValueError(
            f'"{value}" is the container itself, seen from inside it; '
            f'for this machine write "{from_inside(checked)}"'
        )
    return checked


def endpoint_url(value: str) -> str:
    """Check an endpoint's address as seen from inside a container.

    What Claude Code appends itself goes, and so do trailing slashes.
    """
    checked = url_inside(value)
    if _FOREIGN_API.search(checked):
        raise ValueError(
            f'"{value}" is a path of another API; Claude Code uses the Messages API and adds '
            f'/v1/messages itself; write "{_FOREIGN_API.sub("", checked)}"'
        )
    checked = without_appended(checked)
    if (urlsplit(checked).hostname or "") == _ANTHROPIC:
        raise ValueError("this is the Anthropic API; leave base_url out, and set model alone")
    return checked


def without_appended(address: str) -> str:
    """Return an endpoint's address without what Claude Code adds to it."""
    return _APPENDED.sub("", address).rstrip("/")


def forge_url(value: str) -> str:
    """Check a forge's address; its API's path and trailing slashes go."""
    checked = url(value)
    if checked.endswith(".git"):
        root = checked.rsplit("/", 2)[0]
        raise ValueError(f'"{value}" is a repository; write the forge alone, such as "{root}"')
    return _FORGE_API.sub("", checked)


def forge_url_inside(value: str) -> str:
    """Check a forge's address as seen from inside a container."""
    return forge_url(url_inside(value))


def from_inside(address: str) -> str:
    """Return a URL of this machine's loopback as containers have to write it."""
    parts = urlsplit(address)
    port = f":{parts.port}" if parts.port else ""
    return parts._replace(netloc=f"host.docker.internal{port}").geturl()


def has_key(text: str) -> bool:
    """Tell whether a text contains what looks like a provider's real key."""
    return _KEY.search(text) is not None


REAL_KEY = (
    "this looks like a real API key, and a real key never goes in the roster; remove it, "
    "and keep it in the stack with muster key NAME, which reads it from standard input"
)


def roles(value: tuple[str, ...]) -> tuple[str, ...]:
    """Check that no role stands there twice."""
    doubles = sorted({role for role in value if value.count(role) > 1})
    if doubles:
        raise ValueError(f'the role "{doubles[0]}" stands there twice; name each role once')
    return value


def memory(value: str) -> str:
    """Check an amount of memory; return it with the largest of Docker's units that fits."""
    if not re.fullmatch(MEMORY_PATTERN, value):
        raise ValueError(
            f'"{value}" is no amount of memory; write a number and b, k, m or g, '
            'such as "2g" or "512m"'
        )
    amount = _bytes(value)
    if amount < _LEAST_MEMORY:
        hint = f'; did you mean "{value}m"?' if value.isdecimal() else ""
        raise ValueError(f'"{value}" is less than Docker allows; at least "6m"{hint}')
    unit = next(name for name, size in _BYTES.items() if amount % size == 0)
    return f"{amount // _BYTES[unit]}{unit}"


def _bytes(value: str) -> int:
    number = re.match(r"[0-9.]+", value)
    digits = number[0] if number else ""
    unit = value[len(digits) :].strip().lower()[:1]
    return int(Decimal(digits) * (_TERABYTE if unit == "t" else _BYTES[unit or "b"]))


def memory_bytes(value: str) -> int:
    """Return an amount of memory, as `memory` returns it, in bytes."""
    return int(value[:-1]) * _BYTES[value[-1]]


def capabilities(value: tuple[str, ...]) -> tuple[str, ...]:
    """Check Linux capabilities; they are written as Docker documents them, and sorted."""
    names = {each.upper().removeprefix("CAP_"): each for each in value}
    for name, written in names.items():
        if name not in CAPABILITIES:
            nearest = difflib.get_close_matches(name, sorted(CAPABILITIES), n=1)
            right = f'did you mean "{nearest[0]}"?' if nearest else 'write one such as "CHOWN"'
            raise ValueError(f'"{written}" is not a Linux capability; {right}')
    return tuple(sorted(names))


def container_user(value: str) -> str:
    """Check the user that a container starts as, as far as Docker does before it looks there."""
    if not _CONTAINER_USER.fullmatch(value):
        raise ValueError(
            f'"{value}" is not a valid user; write a name or a number, and a group after a colon, '
            'such as "1000:1000"'
        )
    return value


def wrong_variable(key: str, value: object) -> str | None:
    """Return what is wrong with a variable of an `env` table, and what would be right."""
    if not re.fullmatch(VARIABLE_PATTERN, key):
        return f'"{key}" is not a valid variable; use letters, digits and underscores'
    if (field := _setting_of(key)) is not None:
        return f"Muster sets {key} itself; {field}"
    if not isinstance(value, str):
        shown = str(value).lower() if isinstance(value, bool) else value
        right = f'write {key} = "{shown}"' if isinstance(value, (int, float)) else "write a text"
        return f"this is not a text in quotes; {right}"
    if any(not character.isprintable() for character in value):
        return "the value has a control character in it; remove it"
    if is_secret(key, value):
        return (
            "this looks like a secret, and a secret never goes in the roster, nor into a variable "
            "that docker inspect shows; remove it. Credentials of the forge and keys of endpoints "
            "are delivered without it"
        )
    return None


def is_secret(key: str, value: str) -> bool:
    """Tell whether a key's name or its value looks like a secret."""
    named = _SECRETS_NAME.search(key) and not key.upper().endswith(("_FILE", "_PATH"))
    return bool(value) and bool(named or _SECRET.search(value))


def is_musters(variable: str) -> bool:
    """Tell whether Muster sets a variable of the agents' containers itself."""
    return _setting_of(variable) is not None


def _setting_of(variable: str) -> str | None:
    """Return where a variable's value comes from that Muster sets; None for any other."""
    if variable in OWN_VARIABLES:
        field = OWN_VARIABLES[variable]
        return f"set {field} instead" if field else "leave it out"
    if variable.startswith(("FORGE_", "MUSTER_")) and variable not in _FACTORYS_VARIABLES:
        return "leave it out"
    return None


def image(value: str) -> str:
    """Check an image's name, as far as Docker does before it looks for the image."""
    if not _IMAGE.fullmatch(value):
        raise ValueError(f'"{value}" is no image; write one such as "muster-agent"')
    return value


def network(value: str) -> str:
    """Check the name of an existing Docker network that agents can join."""
    if value in _DOCKERS_NETWORKS:
        raise ValueError(
            f'Docker\'s own network "{value}" has no names for containers; '
            "make one with docker network create, and name that"
        )
    if not _NETWORK.fullmatch(value):
        raise ValueError(f'"{value}" is no name of a Docker network; see docker network ls')
    return value


def network_option(value: object) -> str:
    """Return an option of a Docker network as Docker takes it: numbers and truths are text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | str):
        return str(value)
    raise ValueError('an option of a Docker network is a text; write one such as "1400"')


def docker_host(value: str) -> str:
    """Check the address of a Docker Engine."""
    scheme, separator, rest = value.partition("://")
    if scheme not in _DOCKER_HOST_SCHEMES or not separator or not rest:
        raise ValueError(
            "this is not the address of a Docker Engine; write unix://, tcp:// or ssh:// first, "
            'such as "unix:///var/run/docker.sock" or "ssh://me@10.0.0.5"'
        )
    if "@" in rest and ":" in rest.partition("@")[0]:  # never shown: it may be a real one
        raise ValueError("an address of a Docker Engine cannot hold a password; use an SSH key")
    return value


def not_blank(value: str) -> str:
    """Check that there is a text."""
    if not value.strip():
        raise ValueError("this is empty; write a value, or leave the line out")
    return value


def _at_most(value: str, length: int) -> str:
    if len(value) > length:
        raise ValueError(f'"{value}" has {len(value)} characters; use at most {length}')
    return value
