"""`muster work`: the runtime's own answer, and a container that decides as a test wants."""

import json
import secrets
from collections.abc import Iterator

import docker
import pytest
from asking import ended, wait_until
from docker.models.containers import Container
from forge_server import ForgeServer
from patience import Patience
from stand_in import BEGUN, DATA, FOREVER, line, printing, stand_in
from workplace import Workplace

from muster import agent_container
from muster.docker import DockerError
from muster.roster import Muster

TASK = {"kind": "issue", "number": 12, "title": "Greet people", "url": "http://forge/12"}
STARTED = f"echo '{json.dumps(BEGUN)}' > {DATA}/state.json\n{printing(line('Nothing to do.'))}"
ASKED = f"until grep -q 12 {DATA}/request.json; do sleep 0.1; done 2>/dev/null"


@pytest.fixture(scope="module")
def place(
    server: ForgeServer,
    docker_client: docker.DockerClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Workplace]:
    """A project of which nobody is hired."""
    folder = tmp_path_factory.mktemp("place")
    with Workplace(folder, server, docker_client, f"t{secrets.token_hex(3)}") as made:
        made.roster(made.agent("dev-qwen") + made.agent("dev-off", enabled=False))
        yield made


@pytest.fixture(autouse=True)
def _no_container(place: Workplace) -> Iterator[None]:
    """Leave no container behind."""
    yield
    for container in place.client.containers.list(all=True, filters=place._mine):  # noqa: SLF001
        container.remove(force=True, v=True)


def agent(place: Workplace, *decisions: str) -> Container:
    """Run a container that is idle until it is asked for #12, and then logs decisions."""
    container = stand_in(
        place, "dev-qwen", f"{STARTED}\n{ASKED}\n{printing(*decisions)}\n{FOREVER}"
    )
    wait_until(lambda: b"Nothing to do" in container.logs())
    return container


def test_an_agent_takes_the_issue_that_it_is_asked_to_take(place: Workplace) -> None:
    agent(
        place,
        line("Claiming #12.", state="claiming", task=TASK),
        line("Took #12.", state="preparing", task=TASK),
    )
    printed = place.muster("work", "dev-qwen", "#12").splitlines()
    assert printed[0] == "dev-qwen takes #12 now."
    assert [each.split(maxsplit=1)[-1] for each in printed[2:4]] == [
        "claiming   Claiming #12.",
        "preparing  Took #12.",
    ]
    assert printed[4] == "dev-qwen took #12. Follow it with muster logs dev-qwen -f"


def test_an_agent_may_refuse_the_issue(place: Workplace) -> None:
    agent(place, line("Did not take #12: dev-b holds it.", event="work"))
    printed = place.muster("work", "dev-qwen", "12", "--json", expect=1)
    report = json.loads(printed[printed.index("{") : printed.rindex("}") + 1])
    assert report == {
        "stack": place.name,
        "agent": "dev-qwen",
        "issue": 12,
        "answer": "dev-qwen takes #12 now.",
        "outcome": "refused",
        "state": "idle",
        "message": "Did not take #12: dev-b holds it.",
    }


def test_nobody_has_to_wait_for_the_decision(place: Workplace) -> None:
    agent(place)
    report = place.reported("work", "dev-qwen", "12", "--no-wait")
    assert (report["outcome"], report["state"]) == ("pending", "idle")
    with place.terminal("muster work dev-qwen 12") as child:
        child.expect("takes #12 now")
        child.sendintr()
        child.expect(r"No decision yet \(idle\). The request stands")
        assert ended(child) == 130


def test_an_agent_that_ends_has_not_decided(place: Workplace) -> None:
    # It ends after the request's own process, which Docker would kill with it.
    answered = "while pgrep -f '[r]untime.request'; do sleep 0.1; done"
    container = stand_in(place, "dev-qwen", f"{STARTED}\n{ASKED}\n{answered}")
    wait_until(lambda: b"Nothing to do" in container.logs())
    assert "No decision yet" in place.muster("work", "dev-qwen", "12")


def test_an_agent_that_has_not_started_says_so(place: Workplace) -> None:
    stand_in(place, "dev-qwen", FOREVER)
    assert "has not started yet" in place.muster("work", "dev-qwen", "12", expect=1)


def test_who_does_not_run_cannot_be_asked_and_the_command_that_starts_it_is_told(
    place: Workplace,
) -> None:
    assert "muster start dev-off" in place.muster("work", "dev-off", "12", expect=1)
    stand_in(place, "dev-qwen", "exit 3").wait()
    printed = place.muster("work", "dev-qwen", "12", expect=1)
    assert "its container is exited. Run muster restart dev-qwen" in printed


@pytest.mark.parametrize("image", ["muster-forge", Muster().image])
def test_an_image_without_the_runtime_takes_no_requests(place: Workplace, image: str) -> None:
    stand_in(place, "dev-qwen", FOREVER, image, environment={"PYTHONPATH": ""})
    printed = place.muster("work", "dev-qwen", "12", expect=1)
    assert f"its image, {image}, does not contain Muster's runtime" in printed


@pytest.mark.parametrize("issue", ["0", "٣"])
def test_an_issue_is_a_number(place: Workplace, issue: str) -> None:
    assert "the number of an issue" in place.muster("work", "dev-qwen", issue, expect=2)


def test_waiting_for_a_log_or_a_command_has_an_end(place: Workplace) -> None:
    container = stand_in(place, "dev-qwen", FOREVER, Muster().image)
    patience = Patience(10)
    with agent_container.new_log_lines(container, 1) as lines:
        assert list(lines) == []
    with pytest.raises(DockerError, match="no answer after 1 s"):
        agent_container.run(place.client, container, ["sleep", "60"], 1)
    assert patience.is_left()
