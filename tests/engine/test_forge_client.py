"""The client against a real forge, with each way of minting that a forge may leave."""

import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import git_works
from patience import COMMAND
from strict_forge import StrictForge

from muster.forge import (
    AccessToken,
    Administrator,
    Basic,
    ForbiddenError,
    Forge,
    ForgeError,
    NotFoundError,
    Token,
    UnauthorizedError,
    User,
    minting_auth,
    normalise_scopes,
)

SCOPES = ["write:repository", "write:issue", "read:user"]
PASSWORD = "Only-4-Tests-Of-The-Client"


@pytest.fixture
def forge(forge_url: str, administrator: Administrator) -> Forge:
    return Forge(forge_url, administrator.api)


@pytest.fixture
def minting(forge_url: str, administrator: Administrator) -> Forge:
    return Forge(forge_url, administrator.basic)


@pytest.fixture
def bot(forge: Forge) -> Iterator[User]:
    name = f"bot-{secrets.token_hex(4)}"
    yield forge.create_user(
        name,
        email=f"{name}@muster.invalid",
        password=PASSWORD,
        login_name=f"muster:{name}",
        full_name="A bot",
    )
    forge.purge_user(name)


@pytest.fixture
def repo(forge: Forge, administrator: Administrator) -> Iterator[str]:
    name = f"{administrator.user}/repo-{secrets.token_hex(4)}"
    forge.create_repository(name, "trunk")
    yield name
    _delete(forge, f"/repos/{name}")


@pytest.fixture
def shared_repo(forge: Forge, bot: User, repo: str) -> str:
    """A repository that the bot user may write to."""
    forge.add_collaborator(repo, bot.login)
    return repo


def _delete(forge: Forge, path: str) -> None:
    """Delete what the product never deletes."""
    forge._http.change("DELETE", path)  # noqa: SLF001


# Accounts


def test_a_new_account_is_restricted_marked_and_may_call_at_once(
    forge_url: str, forge: Forge, bot: User
) -> None:
    assert forge.user(bot.login.upper()) == bot
    assert (bot.login_name, bot.full_name) == (f"muster:{bot.login}", "A bot")
    assert (bot.active, bot.restricted, bot.is_admin, bot.prohibit_login) == (
        True,
        True,
        False,
        False,
    )
    assert Forge(forge_url, Basic(bot.login, PASSWORD)).whoami().id == bot.id


def test_the_mark_survives_a_change_and_only_administrators_see_it(
    forge_url: str, forge: Forge, bot: User
) -> None:
    forge.edit_user(
        bot.login, login_name=bot.login_name, source_id=bot.source_id, max_repo_creation=0
    )
    seen = forge.user(bot.login)
    assert seen is not None
    assert seen.login_name == f"muster:{bot.login}"
    anonymous = Forge(forge_url, None).user(bot.login)
    assert anonymous is None or anonymous.login_name == ""


def test_a_new_password_ends_the_old_one_and_works_at_once(
    forge_url: str, forge: Forge, bot: User
) -> None:
    forge.edit_user(
        bot.login, login_name=bot.login_name, source_id=0, password="Another-1-For-The-Bot"
    )
    assert Forge(forge_url, Basic(bot.login, "Another-1-For-The-Bot")).whoami().id == bot.id
    with pytest.raises(UnauthorizedError):
        Forge(forge_url, Basic(bot.login, PASSWORD)).whoami()


def test_a_name_that_is_taken_is_refused_in_the_forges_words(forge: Forge, bot: User) -> None:
    with pytest.raises(ForgeError, match="already exists") as caught:
        forge.create_user(
            bot.login.upper(), email="x@x.invalid", password=PASSWORD, login_name="", full_name=""
        )
    assert caught.value.status == 422
    assert PASSWORD not in str(caught.value)


def test_a_reserved_name_is_refused_in_the_forges_words(forge: Forge) -> None:
    with pytest.raises(ForgeError, match="reserved") as caught:
        forge.create_user(
            "explore", email="x@x.invalid", password=PASSWORD, login_name="", full_name=""
        )
    assert caught.value.status == 422


def test_all_accounts_are_listed_once(forge: Forge, bot: User) -> None:
    listed = list(forge.users())
    assert bot in listed
    assert len(listed) == len({user.id for user in listed})


def test_a_purged_account_is_gone(forge: Forge, bot: User) -> None:
    name = f"{bot.login}-2"
    forge.create_user(
        name, email=f"{name}@x.invalid", password=PASSWORD, login_name="", full_name=""
    )
    forge.purge_user(name)
    assert forge.user(name) is None
    with pytest.raises(NotFoundError):
        forge.purge_user(name)


# Repositories


def test_a_new_repository_has_its_branch_and_a_commit(forge: Forge, repo: str) -> None:
    seen = forge.repository(repo)
    assert seen is not None
    assert (seen.full_name, seen.default_branch, seen.empty) == (repo, "trunk", False)


def test_a_repository_that_is_not_there_is_none(forge: Forge) -> None:
    assert forge.repository("nobody/nothing") is None


def test_an_owner_that_does_not_exist_becomes_an_organization(forge: Forge) -> None:
    owner = f"org-{secrets.token_hex(4)}"
    try:
        assert forge.create_repository(f"{owner}/app", "main").full_name == f"{owner}/app"
        assert forge.create_repository(f"{owner}/other", "main").full_name == f"{owner}/other"
    finally:
        for name in ("app", "other"):
            _delete(forge, f"/repos/{owner}/{name}")
        _delete(forge, f"/orgs/{owner}")


def test_a_collaborator_comes_with_a_permission_and_goes(
    forge: Forge, repo: str, bot: User
) -> None:
    assert forge.collaborator_permission(repo, bot.login) is None
    forge.add_collaborator(repo, bot.login)
    assert forge.collaborator_permission(repo, bot.login) == "write"
    forge.add_collaborator(repo, bot.login, "read")
    assert forge.collaborator_permission(repo, bot.login) == "read"
    forge.remove_collaborator(repo, bot.login)
    assert forge.collaborator_permission(repo, bot.login) is None
    forge.remove_collaborator(repo, bot.login)


def test_a_collaborator_whose_account_is_gone_is_reported_gone(forge: Forge, repo: str) -> None:
    assert forge.collaborator_permission(repo, "nobody-here") is None
    with pytest.raises(NotFoundError):
        forge.remove_collaborator(repo, "nobody-here")


# Tokens


def test_a_token_works_until_it_is_revoked(
    forge_url: str, minting: Forge, bot: User, shared_repo: str, tmp_path: Path
) -> None:
    token = minting.mint_token(bot.login, "muster-1", SCOPES)
    assert token.secret is not None
    assert token.secret.endswith(token.last_eight)
    assert token.scopes == normalise_scopes(SCOPES)
    assert Forge(forge_url, Token(token.secret)).whoami().id == bot.id
    assert git_works(forge_url, shared_repo, bot.login, token.secret, tmp_path)

    minting.revoke_token(bot.login, token.id)

    with pytest.raises(UnauthorizedError):
        Forge(forge_url, Token(token.secret)).whoami()
    assert not git_works(forge_url, shared_repo, bot.login, token.secret, tmp_path)
    with pytest.raises(NotFoundError):
        minting.revoke_token(bot.login, token.id)


def test_a_listed_token_has_everything_but_its_secret(minting: Forge, bot: User) -> None:
    minted = [minting.mint_token(bot.login, f"muster-{n}", ["read:user"]) for n in range(3)]
    expected = [AccessToken(t.id, t.name, t.scopes, t.last_eight) for t in minted]
    assert sorted(minting.tokens(bot.login), key=lambda token: token.id) == expected


@pytest.mark.parametrize(
    "scopes",
    [
        ["write:issue", "read:issue", "read:user"],
        ["all"],
        ["all", "public-only", "read:user"],
        ["write:repository", "read:repository"],
    ],
)
def test_scopes_are_normalised_as_the_forge_does_it(
    minting: Forge, bot: User, scopes: list[str]
) -> None:
    minted = minting.mint_token(bot.login, f"muster-{secrets.token_hex(4)}", scopes)
    assert minted.scopes == normalise_scopes(scopes)
    assert minting.tokens(bot.login)[0].scopes == normalise_scopes(scopes)


def test_a_duplicate_name_and_an_unknown_scope_are_refused(minting: Forge, bot: User) -> None:
    minting.mint_token(bot.login, "muster-1", ["read:user"])
    with pytest.raises(ForgeError, match="used already") as caught:
        minting.mint_token(bot.login, "muster-1", ["read:user"])
    assert caught.value.status == 400
    with pytest.raises(ForgeError, match="scope") as caught:
        minting.mint_token(bot.login, "muster-2", ["read:everything"])
    assert caught.value.status == 400


def test_a_barred_bot_user_is_told_so_and_its_tokens_can_still_be_revoked(
    forge_url: str, forge: Forge, minting: Forge, bot: User
) -> None:
    token = minting.mint_token(bot.login, "muster-1", SCOPES)
    forge.edit_user(bot.login, login_name=bot.login_name, source_id=0, prohibit_login=True)
    with pytest.raises(ForbiddenError):
        Forge(forge_url, Token(str(token.secret))).whoami()
    with pytest.raises(UnauthorizedError):
        Forge(forge_url, Basic(bot.login, PASSWORD)).tokens(bot.login)
    minting.revoke_token(bot.login, token.id)
    assert minting.tokens(bot.login) == []


def test_a_token_whose_minting_got_no_answer_is_not_left_behind(
    forge_url: str, administrator: Administrator, bot: User
) -> None:
    with StrictForge(forge_url) as failing:
        failing.drop_answers("POST", "/users/{user}/tokens")
        minting = Forge(failing.url, administrator.basic)
        token = minting.mint_token(bot.login, "muster-1", SCOPES)
        assert [left.id for left in minting.tokens(bot.login)] == [token.id]
        assert failing.calls["POST", "/users/{user}/tokens"] == 2


def test_an_account_whose_making_got_no_answer_is_found(
    forge_url: str, administrator: Administrator, forge: Forge
) -> None:
    name = f"bot-{secrets.token_hex(4)}"
    with StrictForge(forge_url) as failing:
        failing.drop_answers("POST", "/admin/users")
        made = Forge(failing.url, administrator.api).create_user(
            name, email=f"{name}@x.invalid", password=PASSWORD, login_name="mark", full_name=""
        )
        try:
            assert made == forge.user(name)
            assert failing.calls["POST", "/admin/users"] == 1
        finally:
            forge.purge_user(name)


# Ways to mint


@pytest.fixture
def pat_only(administrator: Administrator) -> Administrator:
    return Administrator(pat=administrator.pat)


@pytest.fixture
def password_only(administrator: Administrator) -> Administrator:
    return Administrator(administrator.user, administrator.password)


@pytest.mark.parametrize("credentials", ["pat_only", "password_only"])
@pytest.mark.parametrize("strict", [False, True])
def test_every_administrator_mints_proves_and_revokes_on_every_forge(
    forge_url: str, bot: User, credentials: str, *, strict: bool, request: pytest.FixtureRequest
) -> None:
    administrator: Administrator = request.getfixturevalue(credentials)
    with StrictForge(forge_url, strict=strict) as proxy:
        auth = minting_auth(proxy.url, administrator, Basic(bot.login, PASSWORD))
        minting = Forge(proxy.url, auth)
        token = minting.mint_token(bot.login, "muster-1", SCOPES)
        assert Forge(proxy.url, Token(str(token.secret))).whoami().id == bot.id
        assert [listed.id for listed in minting.tokens(bot.login)] == [token.id]
        minting.revoke_token(bot.login, token.id)
        assert minting.tokens(bot.login) == []


def test_a_strict_forge_leaves_the_bots_own_password(
    forge_url: str, bot: User, pat_only: Administrator
) -> None:
    own = Basic(bot.login, PASSWORD)
    with StrictForge(forge_url) as strict:
        assert minting_auth(strict.url, pat_only, own) == own


def test_asking_how_to_mint_leaves_no_token_and_no_refused_sign_in(
    forge_url: str, administrator: Administrator, pat_only: Administrator
) -> None:
    before = Forge(forge_url, administrator.basic).tokens(str(administrator.user))
    with StrictForge(forge_url, strict=False) as proxy:
        minting_auth(proxy.url, pat_only, Basic("nobody", ""))
        assert proxy.calls.total() == 3
    assert Forge(forge_url, administrator.basic).tokens(str(administrator.user)) == before


@pytest.mark.parametrize(
    ("scopes", "lacking"),
    [
        (["read:user"], "write:admin"),
        (["read:user", "write:admin"], "write:repository"),
        (["read:user", "read:admin", "write:repository"], "write:admin"),
    ],
)
def test_a_pat_that_lacks_a_scope_is_told_which(
    forge_url: str, minting: Forge, repo: str, scopes: list[str], lacking: str
) -> None:
    owner = minting.whoami().login
    pat = minting.mint_token(owner, f"tests-{secrets.token_hex(4)}", scopes)
    try:
        with pytest.raises(ForbiddenError, match=lacking):
            Forge(forge_url, Token(str(pat.secret))).may_administer(repo)
    finally:
        minting.revoke_token(owner, pat.id)


def test_an_administrators_pat_with_what_muster_needs_is_enough(
    forge_url: str, administrator: Administrator, minting: Forge, repo: str
) -> None:
    owner = str(administrator.user)
    scopes = ["write:admin", "write:repository", "write:user"]
    pat = minting.mint_token(owner, f"tests-{secrets.token_hex(4)}", scopes)
    try:
        Forge(forge_url, Token(str(pat.secret))).may_administer(repo)
        enough = Administrator(pat=pat.secret)
        assert minting_auth(forge_url, enough, Basic("nobody", "")) == Basic(owner, str(pat.secret))
    finally:
        minting.revoke_token(owner, pat.id)


def test_who_is_no_administrator_is_told_so(forge_url: str, bot: User) -> None:
    with pytest.raises(ForbiddenError, match="is not an administrator"):
        Forge(forge_url, Basic(bot.login, PASSWORD)).may_administer()


# The proxy itself


def test_git_pushes_through_the_proxy(
    forge_url: str, minting: Forge, bot: User, shared_repo: str, tmp_path: Path
) -> None:
    token = minting.mint_token(bot.login, "muster-1", SCOPES)

    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=bot", "-c", "user.email=b@x.invalid", *arguments],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            timeout=COMMAND,
        )

    with StrictForge(forge_url) as strict:
        address = (
            strict.url.replace("://", f"://{bot.login}:{token.secret}@") + f"/{shared_repo}.git"
        )
        git("clone", "--quiet", address, "clone")
        (tmp_path / "clone/large").write_bytes(secrets.token_bytes(3_000_000))
        git("-C", "clone", "add", "large")
        git("-C", "clone", "commit", "--quiet", "--message", "Add a large file")
        git("-C", "clone", "push", "--quiet", "origin", "trunk")
        git("clone", "--quiet", address, "again")
    assert (tmp_path / "again/large").stat().st_size == 3_000_000
