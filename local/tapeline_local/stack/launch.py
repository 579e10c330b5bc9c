"""`python -m tapeline_local.stack.launch FILE`: execs one part of a stack.

supervisord runs this module. It sets the part's environment, kills leftover processes of an earlier run of the part
(a server without its launcher keeps ports and locks), runs the part's initialisation, drops root where the part
must not have it, and execs the part: same process, same group.
Imports little, because each start of a part waits for the imports.
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

# Variables of other programs on this machine that would change how a part runs.
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
        env: overrides the inherited environment.
        cwd: working folder.
        user_id: of the process; None: the user who runs the stack.
        init_argv: a program to run before the part, unless `init_creates` exists.
        init_creates: file that `init_argv` creates.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    user_id: int | None = None
    init_argv: tuple[str, ...] = ()
    init_creates: str = ""


def write(path: Path, launch: Launch, state: Path, part: str) -> None:
    """Write the file that `main` reads."""
    marks = {processes.STACK_VARIABLE: str(state), processes.PART_VARIABLE: part}
    fields = asdict(launch)
    fields["env"] = {**launch.env, **marks}
    path.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")


def read(path: Path) -> Launch:
    """Read a file of `write`."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    return Launch(**{**fields, "argv": tuple(fields["argv"]), "init_argv": tuple(fields["init_argv"])})


def full_environment(launch: Launch, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a part: the inherited one without NOT_INHERITED, overridden by the part's own."""
    kept = {name: value for name, value in inherited.items() if not name.startswith(NOT_INHERITED)}
    return kept | launch.env


def main() -> None:
    """Exec the part that the file on the command line describes."""
    launch = read(Path(sys.argv[1]))
    environment = full_environment(launch, processes.own_environment())
    processes.kill_marked(environment[processes.STACK_VARIABLE], environment[processes.PART_VARIABLE])
    os.chdir(launch.cwd)
    if launch.init_argv and not Path(launch.init_creates).exists():
        subprocess.run(launch.init_argv, env=environment, check=True)
    if launch.user_id is not None:
        os.setgroups([])
        os.setgid(launch.user_id)
        os.setuid(launch.user_id)
    os.execve(launch.argv[0], launch.argv, environment)


if __name__ == "__main__":
    main()
