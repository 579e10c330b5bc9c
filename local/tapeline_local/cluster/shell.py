"""Runs programs in plain sight, or in a dry run only says which."""

import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tapeline_local.cluster.errors import CommandFailed

_NOT_FOUND = 127


@dataclass(frozen=True)
class Answer:
    """What a program answered to a question.

    Attributes:
        code: exit code; 127 where the program is not there.
        text: standard output without the white space around it.
        reason: standard error, likewise.
    """

    code: int
    text: str
    reason: str


class Shell:
    """Programs, run with one environment."""

    def __init__(self, environment: Mapping[str, str], say: Callable[[str], None], dry_run: bool = False) -> None:
        """Prepare; nothing is run yet.

        Args:
            environment: of every program.
            say: takes each line for the person at the terminal.
            dry_run: print commands instead of running them.
        """
        self.environment, self.dry_run, self._say = dict(environment), dry_run, say

    def say(self, line: str) -> None:
        """Tell the person at the terminal."""
        self._say(line)

    def run(self, *command: str, stdin: str | None = None, more: Mapping[str, str] | None = None) -> None:
        """Run a program whose output is the person's to read.

        Args:
            command: program and arguments.
            stdin: what it reads.
            more: variables laid over the environment; a dry run names them without their values.

        Raises:
            CommandFailed: it ended with an error.
        """
        self._show(command, more, " <<'END'" if stdin is not None else "")
        if stdin is not None and self.dry_run:
            self._say(f"{stdin.rstrip()}\nEND")
        if self.dry_run:
            return
        environment = self.environment | dict(more or {})
        try:
            done = subprocess.run(command, input=stdin, text=True, env=environment, check=False)
        except OSError as error:
            raise CommandFailed(command, _NOT_FOUND, str(error)) from error
        if done.returncode:
            raise CommandFailed(command, done.returncode)

    def take(self, *command: str, more: Mapping[str, str] | None = None) -> str:
        """Run a program and return its last line of output; a dry run returns the word REFERENCE.

        Args:
            command: program and arguments.
            more: variables laid over the environment.

        Raises:
            CommandFailed: it ended with an error.
        """
        self._show(command, more)
        if self.dry_run:
            return "REFERENCE"
        environment = self.environment | dict(more or {})
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=False)
        except OSError as error:
            raise CommandFailed(command, _NOT_FOUND, str(error)) from error
        if done.returncode:
            raise CommandFailed(command, done.returncode)
        return done.stdout.strip().rpartition("\n")[2]

    def _show(self, command: tuple[str, ...], more: Mapping[str, str] | None, behind: str = "") -> None:
        given = "".join(f"{name}=... " for name in more or {})
        self._say(f"$ {given}{shlex.join(command)}{behind}")

    def hand_over(self, source: tuple[str, ...], *target: str) -> None:
        """Run one program, give what it writes to another.

        Raises:
            CommandFailed: one of them ended with an error.
        """
        if self.dry_run:
            self._say(f"$ {shlex.join(source)} | {shlex.join(target)}")
            return
        answer = self.ask(*source)
        if answer.code:
            raise CommandFailed(source, answer.code, answer.reason)
        self.run(*target, stdin=answer.text + "\n")

    def ask(self, *command: str) -> Answer:
        """Run a program that only looks. A dry run does not: the answer is then that nothing is there."""
        if self.dry_run:
            return Answer(1, "", "dry run")
        try:
            done = subprocess.run(command, capture_output=True, text=True, env=self.environment, check=False)
        except OSError as error:
            return Answer(_NOT_FOUND, "", str(error))
        return Answer(done.returncode, done.stdout.strip(), done.stderr.strip())
