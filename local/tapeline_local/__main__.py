"""`python -m tapeline_local {up,down,status,urls,logs PART}`: runs a stack in the background."""

import argparse
import sys

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from tapeline.service.files import OutdatedState

from tapeline_local import paths
from tapeline_local.errors import LocalError, StackError
from tapeline_local.settings import StackName, UpSettings, load
from tapeline_local.stack import supervision
from tapeline_local.stack.options import PARTS, in_start_order, is_stack_name
from tapeline_local.stack.stack import Stack


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tapeline_local", description=__doc__)
    parser.add_argument("--name", help="name of the stack, its folder in .tapeline; default: NAME, or demo")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start; return when every part is ready")
    up.add_argument("--parts", default=",".join(PARTS), help="comma-separated")
    commands.add_parser("down", help="stop; data stays")
    commands.add_parser("status", help="status of each part")
    commands.add_parser("urls", help="address of each part")
    logs = commands.add_parser("logs", help="the end of a part's log")
    logs.add_argument("part", help=f"{', '.join(PARTS)}, or another producer: producer-2")
    logs.add_argument("--lines", type=int, default=50)
    return parser.parse_args()


def _up(console: Console, arguments: argparse.Namespace) -> None:
    state = paths.STATES / arguments.name
    stack = Stack(state, in_start_order(tuple(arguments.parts.split(","))), load(UpSettings).options())
    if stack.owner() is not None:
        running = Stack.load(state)
        console.print(f"{arguments.name} is already running (process {running.owner()}); `make down` stops it")
        for part in running.parts:
            running.wait_ready(part)
        return
    stack.up(console.print, background=True)
    console.print("up; see `make status` and `make urls`, stop with `make down`")


def _down(console: Console, arguments: argparse.Namespace) -> None:
    stack = Stack(paths.STATES / arguments.name)
    was_running = stack.owner() is not None
    stack.down(console.print)
    console.print("stopped; the data stays" if was_running else "nothing was running")


def _status(console: Console, arguments: argparse.Namespace) -> None:
    table = Table("part", "state", "pid", "up", "port", "restarts", "memory")
    rows = Stack.load(paths.STATES / arguments.name).status()
    for row in rows:
        style = "green" if row.state == supervision.RUNNING else "red"
        up = f"{row.uptime_s // 60} min {row.uptime_s % 60} s"
        cells = (str(row.pid or "-"), up, str(row.port), str(row.restarts), f"{row.rss_mib} MiB")
        table.add_row(row.name, f"[{style}]{row.state}[/{style}]", *cells)
    table.add_section()
    table.add_row("all", "", "", "", "", "", f"{sum(row.rss_mib for row in rows)} MiB")
    console.print(table)


def _urls(console: Console, arguments: argparse.Namespace) -> None:
    stack = Stack.load(paths.STATES / arguments.name)
    addresses = stack.addresses
    table = Table("what", "address")
    lines = {
        "board": (("board", addresses.board),),
        "kafka": (("Kafka bootstrap", addresses.kafka),),
        "elasticsearch": (("Elasticsearch", f"{addresses.elasticsearch}/_cat/indices?v"),),
        "inference": (("inference: model", f"{addresses.inference}/model"),),
        "notifier": (("notifier: health", f"{addresses.notifier}/health/ready"),),
        "spark": (("stream: metrics", f"{addresses.spark}/metrics"),),
        "simulator": (("simulator: status", f"{addresses.simulator}/simulator/status"),),
    }
    for part in stack.parts:
        for line in lines.get(part, ()):
            table.add_row(*line)
    if "producer" in stack.parts:
        for number, address in enumerate(addresses.producers, start=1):
            table.add_row(f"producer {number}: health", f"{address}/health/ready")
    table.add_row("data and logs", str(stack.state.root))
    console.print(table)


def _logs(console: Console, arguments: argparse.Namespace) -> None:
    in_start_order((arguments.part,))
    tail = Stack(paths.STATES / arguments.name).log_tail(arguments.part, arguments.lines)
    console.print(tail, markup=False, highlight=False, soft_wrap=True)


_COMMANDS = {"up": _up, "down": _down, "status": _status, "urls": _urls, "logs": _logs}


def main() -> int:
    """Run one command; a refusal is one message and exit code 1, or 2 where the state has another format."""
    arguments, console, problems = _arguments(), Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)
    try:
        if arguments.name is None:
            arguments.name = load(StackName).name
        if not is_stack_name(arguments.name):
            raise StackError(
                f"name was {arguments.name!r}; use up to 41 letters, digits, '.', '_' and '-', a letter or digit first"
            )
        _COMMANDS[arguments.command](console, arguments)
    except OutdatedState as error:
        problems.print(f"{arguments.command}: {error}", markup=False, highlight=False)
        return 2
    except (LocalError, ValidationError, ValueError) as error:
        problems.print(f"{arguments.command}: {error}", markup=False, highlight=False)
        return 1
    except KeyboardInterrupt:
        problems.print(f"{arguments.command}: interrupted")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
