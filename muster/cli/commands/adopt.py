"""`muster adopt`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from muster.cli.options import AdminToken, AsJson, Yes, examples


def adopt(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="The factory's project file: <factory>/projects/<name>.toml."
        ),
    ],
    stack: Annotated[
        str | None,
        typer.Option(
            "--stack", "-s", help="The stack, made if missing; default: the project's name."
        ),
    ] = None,
    runtime: Annotated[
        Literal["disinto", "muster"],
        typer.Option(
            "--runtime", help="disinto: agents keep their image; muster: they move to Muster's."
        ),
    ] = "disinto",
    admin_token: AdminToken = None,
    *,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take over the agents of a running disinto factory.

    Writes the roster, hires the agents with the accounts that they have, and waits until the new
    containers are healthy. Only then the old compose services are stopped and removed, and the
    agents commented out in FILE and docker-compose.yml. Volumes of the factory stay. Stopped
    half-way, the same command goes on.
    """
    from muster import docker, factory, handover, nomad
    from muster.cli.adopting import Adoption
    from muster.cli.session import Session

    folder = factory.folder_of(file)
    with docker.engine(None) as client:
        old = handover.containers_of(client, folder)
        if not any(each.status == "running" for service in old.values() for each in service):
            nomad.refuse(file, folder, nomad.agents(client))
        if not old:
            raise factory.FactoryError(
                f"no service of {folder} is on this Docker engine: start the factory first, for "
                "its containers tell the network that the agents are on"
            )
        services = {name: handover.service_of(each[0]) for name, each in old.items()}
        found = factory.read(file, services, runtime)
        session = Session(stack or found.project, as_json=as_json, admin_token=admin_token)
        with session.alone():
            Adoption(session, found, client, old).run(yes=yes)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "muster adopt /srv/disinto/projects/acme.toml",
            "muster adopt /srv/disinto/projects/acme.toml --runtime muster",
            "muster adopt ../disinto/projects/acme.toml --stack acme --yes --json",
        )
    )(adopt)
