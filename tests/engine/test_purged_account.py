"""An account that somebody purged by hand comes back whole, not with a password of the old one."""

from asking import api_status, password_status
from workplace import Workplace


def test_a_purged_account_is_hired_anew_by_a_refreshing_up(workplace: Workplace) -> None:
    url, user = workplace.server.url, workplace.user("dev-qwen")
    workplace.roster(workplace.agent("dev-qwen"))
    workplace.up()

    workplace.forge.purge_user(user)
    workplace.up("--refresh")

    assert api_status(url, workplace.token("dev-qwen")) == 200
    assert password_status(url, user, workplace.password("dev-qwen")) == 200
    assert workplace.forge.collaborator_permission(workplace.repo, user) == "write"
    assert workplace.container("dev-qwen").status == "running"
    assert workplace.preview("--refresh") == {}
