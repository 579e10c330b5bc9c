"""`python -m tapeline_local.stack.launch FILE`: becomes one part of a stack.

supervisord runs this; it lays the part's environment over its own, ends what an earlier life of the part left
behind (a server without its launcher keeps ports and locks), does the part's first-time work, gives up root
where the part must not have it, and then is the part: same process, same group.
Imports little, for every start of every part waits for it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tapeline_local.stack import processes

# Set for other programs on this machine, these would change how a part runs.
NOT_INHERITED: Final = (
    "CLASSPATH",
    "ES_",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "KAFKA_",
    "PYSPARK_",
    "PYTHONHOME",
    "PYTHONPATH",
    "SPARK_",
    "SUPERVISOR_",
    "_JAVA_OPTIONS",
)


@dataclass(frozen=True)
class Launch:
    """How one part is run.

    Attributes:
        argv: the program and its arguments.
        env: laid over the inherited environment.
        cwd: working folder.
        user_id: who runs it; None: whoever runs the stack.
        first: a program to run to its end before, unless `first_made` exists.
        first_made: what `first` makes.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    user_id: int | None = None
    first: tuple[str, ...] = ()
    first_made: str = ""


def write(path: Path, launch: Launch, state: Path, part: str) -> None:
    """Write the file that `main` reads."""
    marks = {processes.STACK_VARIABLE: str(state), processes.PART_VARIABLE: part}
    fields = asdict(launch)
    fields["env"] = {**launch.env, **marks}
    path.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")


def read(path: Path) -> Launch:
    """Read it back."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    return Launch(**{**fields, "argv": tuple(fields["argv"]), "first": tuple(fields["first"])})


def full_environment(launch: Launch, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a part: the inherited one without what would steer it astray, then its own."""
    kept = {name: value for name, value in inherited.items() if not name.startswith(NOT_INHERITED)}
    return kept | launch.env


def main() -> None:
    """Become the part that the file named on the command line describes."""
    launch = read(Path(sys.argv[1]))
    environment = full_environment(launch, processes.own_environment())
    processes.sweep(environment[processes.STACK_VARIABLE], environment[processes.PART_VARIABLE])
    os.chdir(launch.cwd)
    if launch.first and not Path(launch.first_made).exists():
        subprocess.run(launch.first, env=environment, check=True)
    if launch.user_id is not None:
        os.setgroups([])
        os.setgid(launch.user_id)
        os.setuid(launch.user_id)
    os.execve(launch.argv[0], launch.argv, environment)


if __name__ == "__main__":
    main()
