"""`python -m bench`: measure, print tables, keep them in results.md and work-results.md."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from forge_server import ForgeServer

from bench.figures import Figure, machine, table
from bench.measure import Bench
from bench.work import WorkBench
from muster.docker import engine
from muster.forge import Forge

SIZES = [1, 10, 50]
RESULTS = Path(__file__).with_name("results.md")
WORK_RESULTS = Path(__file__).with_name("work-results.md")


def main() -> None:
    """Measure crews of the sizes that the command line names; a run of all sizes is kept."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--agents", nargs="*", type=int, default=SIZES, metavar="N")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    arguments = parser.parse_args()
    with engine(None) as client, ForgeServer(client) as server:
        about = machine(client, Forge(server.url, None).version())
        crews = list(_measured(Bench(server, client), arguments.agents))
        work = list(_shown(WorkBench(server, client).figures()))
        figures = [*crews, *work]
        if arguments.json:
            kept = {"machine": about, "figures": [figure.as_json() for figure in figures]}
            print(json.dumps(kept, indent=2))
        else:
            print(_report(about, figures))
        WORK_RESULTS.write_text(_report(about, work), encoding="utf-8")
        if arguments.agents == SIZES:
            RESULTS.write_text(_report(about, crews), encoding="utf-8")


def _measured(bench: Bench, sizes: list[int]) -> list[Figure]:
    figures = [*_shown([bench.start_up(), bench.calls(), bench.first_poll()])]
    for size in sizes:
        figures += _shown(bench.figures(size))
    return figures


def _shown(figures: Iterable[Figure]) -> Iterator[Figure]:
    for figure in figures:
        print(figure.row(), file=sys.stderr, flush=True)
        yield figure


def _report(about: dict[str, str], figures: list[Figure]) -> str:
    conditions = "\n".join(f"- {what}: {value}" for what, value in about.items())
    return f"""# The last results

`make bench` writes this file. What the figures mean stands in [README.md](README.md), why a mark
is missed in [profile.md](profile.md).

{conditions}

{table(figures)}
"""


if __name__ == "__main__":
    main()
