"""The mirror, with real git and servers: what it takes, what it shows, who gets the token."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from repository import bare, blob, commit, commit_files, git
from runtime.git import GitError, Mirror, proxies

BRANCHES = "+refs/heads/*:refs/heads/*"


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    return bare(tmp_path / "origin.git")


@pytest.fixture
def mirror(tmp_path: Path, origin: Path) -> Mirror:
    folder = tmp_path / "mirror.git"
    folder.mkdir()
    made = Mirror(folder, str(origin), lambda: ("bot", "made-up-token"))
    made.make()
    return made


def link(repository: Path, target: str, name: str) -> str:
    return f"120000 blob {blob(repository, target)}\t{name}"


def test_a_file_is_shown_as_it_is(mirror: Mirror, origin: Path) -> None:
    commit_files(origin, {"a": "text\n\nü", "b": ""})
    mirror.fetch(BRANCHES)
    assert mirror.show("refs/heads/main", "a") == "text\n\nü"
    assert mirror.show("refs/heads/main", "b") == ""
    assert mirror.show("refs/heads/main", "c") is None
    assert mirror.show("refs/heads/other", "a") is None


def test_links_are_followed_within_the_repository(
    mirror: Mirror, origin: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside").write_text("secret")
    entries = [
        f"100644 blob {blob(origin, 'text')}\ta",
        link(origin, "a", "to-a"),
        link(origin, "to-a", "to-link"),
        link(origin, str(tmp_path / "outside"), "out"),
        link(origin, "../outside", "up"),
        link(origin, "nothing", "dangling"),
        link(origin, "loop", "loop"),
    ]
    commit(origin, "\n".join(entries), branch="main")
    mirror.fetch(BRANCHES)
    shown = {name: mirror.show("refs/heads/main", name) for name in ("a", "to-a", "to-link")}
    assert shown == {"a": "text", "to-a": "text", "to-link": "text"}
    for name in ("out", "up", "dangling", "loop"):
        assert mirror.show("refs/heads/main", name) is None


@pytest.mark.parametrize("name", [".git", ".GIT", "..", "git~1"])
def test_a_branch_with_an_evil_file_is_not_fetched(mirror: Mirror, origin: Path, name: str) -> None:
    made = commit(origin, f"100644 blob {blob(origin, 'x')}\t{name}", branch="main")
    with pytest.raises(GitError):
        mirror.fetch(BRANCHES)
    assert mirror.resolve(made) is None


OLD = [
    "author ann <ann@x.invalid> 1700000000 +05194\ncommitter ann <ann@x.invalid> 1 +0000",
    "author ann ann@x.invalid 1700000000 +0000\ncommitter ann <ann@x.invalid> 1 +0000",
    "author <ann@x.invalid> 1700000000 +0000\ncommitter ann <ann@x.invalid> 01 +0000",
]


@pytest.mark.parametrize("people", OLD)
def test_old_history_with_harmless_faults_is_fetched(
    mirror: Mirror, origin: Path, people: str
) -> None:
    tree = git(origin, "mktree", stdin="")
    content = f"tree {tree}\n{people}\n\nmessage\n"
    made = git(origin, "hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=content)
    git(origin, "update-ref", "refs/heads/main", made)
    mirror.fetch(BRANCHES)
    assert mirror.resolve("refs/heads/main") == made


@pytest.mark.parametrize(
    "bundle",
    [
        b"",
        b"text",
        b"# v2 git bundle\n\n",
        b"# v2 git bundle\n--upload-pack=x refs/heads/x\n\nPACK",
        b"# v2 git bundle\n" + b"0" * 40 + b" refs/heads/x\n\nPACK",
    ],
)
def test_a_bundle_that_is_none_is_refused(mirror: Mirror, origin: Path, bundle: bytes) -> None:
    base = commit_files(origin, {"a": "x"})
    mirror.fetch(BRANCHES)
    with pytest.raises(GitError):
        mirror.take_bundle(bundle, [base], "refs/muster/x")
    assert mirror.resolve("refs/muster/x") is None


@contextmanager
def serving(seen: list[tuple[str, str | None]], redirect: str | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("Authorization")))
            self.send_response(302 if redirect else 404)
            self.send_header("Location", f"{redirect}{self.path}")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_the_token_is_sent_to_the_forge_and_not_where_it_redirects_to(tmp_path: Path) -> None:
    at_forge: list[tuple[str, str | None]] = []
    elsewhere: list[tuple[str, str | None]] = []
    with serving(elsewhere) as other, serving(at_forge, redirect=other) as forge:
        (tmp_path / "mirror.git").mkdir()

        def bot() -> tuple[str, str]:
            return "bot", "made-up-token"

        mirror = Mirror(tmp_path / "mirror.git", f"{forge}/a/b.git", bot)
        mirror.make()
        with pytest.raises(GitError) as raised:
            mirror.fetch(BRANCHES)
    basic = base64.b64encode(b"bot:made-up-token").decode()
    assert {header for _, header in at_forge} == {f"Basic {basic}"}
    assert elsewhere
    assert {header for _, header in elsewhere} == {None}
    assert "made-up-token" not in str(raised.value)
    assert basic not in str(raised.value)


def test_the_token_is_not_kept_in_the_mirror(mirror: Mirror, origin: Path) -> None:
    commit_files(origin, {"a": "x"})
    mirror.fetch(BRANCHES)
    mirror.push(str(mirror.resolve("main")), "refs/heads/other")
    assert not [
        file
        for file in mirror.folder.rglob("*")
        if file.is_file() and b"made-up-token" in file.read_bytes()
    ]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://forge.example.org/acme/site.git", {"https_proxy": "http://proxy:8080"}),
        ("http://acme-forge:3000/acme/site.git", {}),
        ("http://host.docker.internal:3000/acme/site.git", {}),
        ("http://127.0.0.1:3000/acme/site.git", {}),
    ],
)
def test_git_uses_a_proxy_except_for_what_only_docker_knows(
    url: str, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:8080")
    assert proxies(url) == expected
