"""Where the forge administrator's credentials come from."""

import pytest

from muster import administrator
from muster.administrator import AdministratorMissingError
from muster.forge import Administrator, ForgeError

USER, PASS, PAT = "FORGE_ADMIN_USER", "FORGE_ADMIN_PASS", "FORGE_ADMIN_PAT"
PAIR = {USER: "root", PASS: "Of-The-Environment-1"}
STACK_PAIR = {"forgeAdminUser": "keeper", "forgeAdminPass": "Of-The-Stack-1"}
STACK_PAT = {"forgeAdminPat": "b" * 40}


def find(environment: dict[str, str], configuration: dict[str, str]) -> Administrator:
    return administrator.find(environment, configuration.get)


@pytest.mark.parametrize(
    ("environment", "configuration", "found"),
    [
        (PAIR, {}, Administrator("root", PAIR[PASS])),
        ({PAT: "a" * 40}, {}, Administrator(pat="a" * 40)),
        ({**PAIR, PAT: "a" * 40}, {}, Administrator("root", PAIR[PASS], "a" * 40)),
        ({}, STACK_PAIR, Administrator("keeper", STACK_PAIR["forgeAdminPass"])),
        ({}, STACK_PAT, Administrator(pat="b" * 40)),
        ({USER: "", PASS: "", PAT: " "}, STACK_PAT, Administrator(pat="b" * 40)),
    ],
)
def test_credentials_are_taken_from_the_environment_or_the_stack(
    environment: dict[str, str], configuration: dict[str, str], found: Administrator
) -> None:
    assert find(environment, configuration) == found


@pytest.mark.parametrize("environment", [PAIR, {PAT: "a" * 40}])
def test_the_environment_wins_whole(environment: dict[str, str]) -> None:
    """A PAT of one administrator beside the password of another would be neither."""
    assert find(environment, {**STACK_PAIR, **STACK_PAT}) == find(environment, {})


@pytest.mark.parametrize("environment", [{}, {USER: "", PASS: "", PAT: ""}])
def test_without_credentials_the_error_says_how_to_set_them(environment: dict[str, str]) -> None:
    with pytest.raises(AdministratorMissingError) as caught:
        find(environment, {})
    for word in (USER, PASS, PAT, "pulumi config set --secret forgeAdminPass"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("half", "missing"),
    [
        ({USER: "root"}, PASS),
        ({PASS: "Half-A-Pair-1"}, USER),
        ({PASS: "Half-A-Pair-1", PAT: "a" * 40}, USER),
    ],
)
def test_half_a_pair_is_an_error_that_names_the_other_half(
    half: dict[str, str], missing: str
) -> None:
    with pytest.raises(ForgeError, match=f"{missing} is not") as caught:
        find(half, STACK_PAIR)
    assert "Half-A-Pair-1" not in str(caught.value)


def test_half_a_pair_in_the_stack_is_told_in_the_stacks_words() -> None:
    with pytest.raises(ForgeError) as caught:
        find({}, {"forgeAdminUser": "keeper"})
    assert str(caught.value) == (
        "in the stack's configuration forgeAdminUser is set, forgeAdminPass is not"
    )
