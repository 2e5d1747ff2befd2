"""Formulas: which one a role has, and what is said about one that is not valid."""

from collections.abc import Callable
from importlib import resources

import pytest
from runtime.formula import DELIVERS, FOLDER, Formula, FormulaError, load, parse

from muster import rules

SHIPPED = {
    "architect": "schedule",
    "dev": "backlog",
    "gardener": "unlabelled",
    "planner": "schedule",
    "predictor": "schedule",
    "review": "pulls",
    "supervisor": "schedule",
}
OWN = 'selects = "backlog"\ndelivers = "branch"\nprompt = "{}"\n'


def repository(**files: str) -> Callable[[str], str | None]:
    """Return the files of a primary branch; a `.` and a `/` in their names are `_` and `__`."""
    named = {name.replace("__", "/"): text for name, text in files.items()}
    return lambda path: named.get(path.removeprefix(".").replace(".", "_"))


def empty(_: str) -> str | None:
    return None


def test_every_formula_that_ships_is_known() -> None:
    folder = resources.files("runtime") / "formulas"

    names = {file.name for file in folder.iterdir() if file.name.endswith(".toml")}

    assert names == {f"{role}.toml" for role in SHIPPED} == {f"{role}.toml" for role in rules.ROLES}
    assert rules.FORMULAS == FOLDER


@pytest.mark.parametrize(("role", "selects"), SHIPPED.items())
def test_a_formula_that_ships_is_valid(role: str, selects: str) -> None:
    formula = load(role, None, empty)

    assert (formula.role, formula.selects, formula.delivers) == (role, selects, DELIVERS[selects])
    assert formula.hours >= 24
    assert len(formula.prompt) > 200


def test_the_repositorys_own_formula_comes_before_the_one_that_ships() -> None:
    files = repository(muster__formulas__dev_toml=OWN.format(" Our way. "))

    assert load("dev", None, files).prompt == "Our way."


def test_an_empty_file_of_the_repository_is_an_error_and_not_left_out() -> None:
    with pytest.raises(FormulaError, match="selects must be one of"):
        load("dev", None, repository(muster__formulas__dev_toml=""))


def test_a_role_that_does_not_ship_is_a_file_of_the_repository() -> None:
    files = repository(muster__formulas__translator_toml=OWN.format("Translate."))

    assert load("translator", None, files) == Formula(
        role="translator", selects="backlog", delivers="branch", prompt="Translate.", hours=24
    )


def test_the_rosters_name_comes_before_the_roles_own() -> None:
    files = repository(
        muster__formulas__dev_toml=OWN.format("Plain."),
        muster__formulas__careful_toml=OWN.format("Careful."),
    )

    assert load("dev", "careful", files).prompt == "Careful."


def test_the_rosters_name_may_be_one_that_ships() -> None:
    assert load("dev", "gardener", empty).selects == "unlabelled"


def test_a_path_is_read_from_the_repository_alone() -> None:
    files = repository(
        docs__how_toml=OWN.format("From docs."),
        docs__plain=OWN.format("Without an ending."),
        own_toml=OWN.format("From the root."),
    )

    assert load("dev", "docs/plain", files).prompt == "Without an ending."
    assert load("dev", "own.toml", files).prompt == "From the root."
    assert load("dev", "docs/how.toml", files).prompt == "From docs."
    with pytest.raises(FormulaError, match=r"add docs/dev\.toml to the primary branch"):
        load("dev", "docs/dev.toml", files)


@pytest.mark.parametrize("name", ["../formulas/dev", "/etc/passwd", "formulas/dev"])
def test_a_path_does_not_leave_the_repository(name: str) -> None:
    with pytest.raises(FormulaError):
        load("dev", name, empty)


def test_a_role_without_a_formula_says_where_to_add_one() -> None:
    with pytest.raises(FormulaError) as error:
        load("translator", None, empty)

    assert str(error.value).startswith(
        "role translator has no formula: add .muster/formulas/translator.toml to the primary branch"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("selects =", "f.toml is not valid TOML: "),
        ("", "f.toml: selects must be one of backlog, pulls, unlabelled, schedule"),
        ('selects = "all"', "f.toml: selects must be one of"),
        ("selects = 5", "f.toml: selects must be one of"),
        ('selects = "pulls"', 'f.toml: delivers must be "review" with "pulls"'),
        (
            'selects = "pulls"\ndelivers = "branch"',
            'f.toml: delivers must be "review" with "pulls"',
        ),
        ('selects = "pulls"\ndelivers = "review"', "f.toml: prompt is missing"),
        (OWN.format(" "), "f.toml: prompt is missing"),
        (OWN.replace('"{}"', "5"), "f.toml: prompt is missing"),
        (OWN.format("x") + "hours = 0", "f.toml: hours must be a number above 0"),
        (OWN.format("x") + "hours = true", "f.toml: hours must be a number above 0"),
        (OWN.format("x") + 'hours = "1"', "f.toml: hours must be a number above 0"),
        (OWN.format("x") + "hours = nan", "f.toml: hours must be a number above 0"),
    ],
)
def test_a_formula_that_is_not_valid_says_what_is_expected(text: str, message: str) -> None:
    with pytest.raises(FormulaError) as error:
        parse("dev", text, "f.toml")

    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("selects", [["backlog"], {"a": "b"}])
def test_a_selection_of_another_type_is_an_error_like_any_other(selects: object) -> None:
    written = '["backlog"]' if isinstance(selects, list) else '{a = "b"}'

    with pytest.raises(FormulaError, match="selects must be one of"):
        parse("dev", f"selects = {written}", "f.toml")


def test_hours_may_be_a_part_of_one() -> None:
    assert parse("dev", OWN.format("x") + "hours = 0.5", "f.toml").hours == 0.5
