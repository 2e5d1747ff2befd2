"""The examples in README.md and docs/, which no shell runs."""

import re
from pathlib import Path

import pytest
from runtime import formula

from muster.roster import Roster, load

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
HEAD = 'name = "acme"\nrepo = "acme/site"\nforge_url = "https://forge.example.org"\n'


def examples(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def loaded(folder: Path, text: str) -> Roster:
    path = folder / "acme.toml"
    path.write_text(text)
    return load(path)


def test_the_readmes_roster_is_valid(tmp_path: Path) -> None:
    [text] = examples("README.md", "toml")
    roster = loaded(tmp_path, text)
    assert roster.muster.work.check == ("make test",)
    assert roster.agents["review-claude"].base_url is None


def test_the_settings_for_work_are_valid(tmp_path: Path) -> None:
    settings, *_ = examples("docs/work.md", "toml")
    roster = loaded(tmp_path, HEAD + settings)
    assert roster.agents["dev-qwen"].tokens == 500_000
    assert roster.agents["dev-qwen"].minutes == 30
    assert roster.muster.endpoints["http://host.docker.internal:8081"].slots == 2


def test_the_role_of_your_own_is_valid() -> None:
    *_, text = examples("docs/work.md", "toml")
    assert formula.parse("docs", text, "docs.toml").selects == "schedule"


def test_the_page_about_work_names_every_role_that_ships() -> None:
    page = (ROOT / "docs" / "work.md").read_text()
    for file in (ROOT / "images" / "agent" / "runtime" / "formulas").glob("*.toml"):
        shipped = formula.parse(file.stem, file.read_text(), file.name)
        every = f"every {shipped.hours:.0f} hours" if shipped.selects == "schedule" else ""
        assert re.search(rf"^\| `{file.stem}` \|.*{every}", page, re.MULTILINE), file.stem


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    links = re.findall(r"\]\((?!https?:)([^)]+)\)|<img src=\"([^\"]+)\"", text)
    for target in (link or image for link, image in links):
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        assert path.exists(), target
        titles = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE) if anchor else []
        anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
        assert not anchor or anchor in anchors, target
