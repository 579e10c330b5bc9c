"""Runs external programs and prints each command; a dry run only prints."""

import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tapeline_local.cluster.errors import CommandFailed

_NOT_FOUND = 127


@dataclass(frozen=True)
class CommandResult:
    """Result of a program whose output is captured.

    Attributes:
        code: exit code; 127 if the program does not exist.
        text: stripped standard output.
        reason: stripped standard error.
    """

    code: int
    text: str
    reason: str


class Shell:
    """Runs programs with one environment."""

    def __init__(self, environment: Mapping[str, str], say: Callable[[str], None], dry_run: bool = False) -> None:
        """Prepare; no program is run.

        Args:
            environment: of every program.
            say: prints a line of progress.
            dry_run: print commands instead of running them.
        """
        self.environment, self.dry_run, self._say = dict(environment), dry_run, say

    def say(self, line: str) -> None:
        """Print a line of progress."""
        self._say(line)

    def run(self, *command: str, stdin: str | None = None, env: Mapping[str, str] | None = None) -> None:
        """Run a program with its output visible.

        Args:
            command: program and arguments.
            stdin: its standard input.
            env: additional environment variables; printed without their values.

        Raises:
            CommandFailed: the program failed.
        """
        self._show(command, env, " <<'END'" if stdin is not None else "")
        if stdin is not None and self.dry_run:
            self._say(f"{stdin.rstrip()}\nEND")
        if self.dry_run:
            return
        environment = self.environment | dict(env or {})
        try:
            process = subprocess.run(command, input=stdin, text=True, env=environment, check=False)
        except OSError as error:
            raise CommandFailed(command, _NOT_FOUND, str(error)) from error
        if process.returncode:
            raise CommandFailed(command, process.returncode)

    def run_and_capture(self, *command: str, env: Mapping[str, str] | None = None) -> str:
        """Run a program and return its last line of output; a dry run returns the word REFERENCE.

        Args:
            command: program and arguments.
            env: additional environment variables.

        Raises:
            CommandFailed: the program failed.
        """
        self._show(command, env)
        if self.dry_run:
            return "REFERENCE"
        environment = self.environment | dict(env or {})
        try:
            process = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=False)
        except OSError as error:
            raise CommandFailed(command, _NOT_FOUND, str(error)) from error
        if process.returncode:
            raise CommandFailed(command, process.returncode)
        return process.stdout.strip().rpartition("\n")[2]

    def _show(self, command: tuple[str, ...], env: Mapping[str, str] | None, suffix: str = "") -> None:
        assignments = "".join(f"{name}=... " for name in env or {})
        self._say(f"$ {assignments}{shlex.join(command)}{suffix}")

    def pipe(self, source: tuple[str, ...], *target: str) -> None:
        """Pipe the output of one program into another.

        Raises:
            CommandFailed: one of the programs failed.
        """
        if self.dry_run:
            self._say(f"$ {shlex.join(source)} | {shlex.join(target)}")
            return
        result = self.capture(*source)
        if result.code:
            raise CommandFailed(source, result.code, result.reason)
        self.run(*target, stdin=result.text + "\n")

    def capture(self, *command: str) -> CommandResult:
        """Run a read-only program and return its result; a dry run returns code 1."""
        if self.dry_run:
            return CommandResult(1, "", "dry run")
        try:
            process = subprocess.run(command, capture_output=True, text=True, env=self.environment, check=False)
        except OSError as error:
            return CommandResult(_NOT_FOUND, "", str(error))
        return CommandResult(process.returncode, process.stdout.strip(), process.stderr.strip())
