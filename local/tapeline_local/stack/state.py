"""State folder of a stack: its paths, and the files that are written before a start.

FORMAT      number of the format of what follows
ports.json  ledger.jsonl  kafka/  elasticsearch/  checkpoint/  models/  logs/PART.log
run/        lock, socket, configuration of supervisord, one file a part for launch.py; removed when the stack stops
"""

import base64
import os
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict
from tapeline.service import files

from tapeline_local import paths
from tapeline_local.errors import NotSetUp
from tapeline_local.setup import class_archives, pins
from tapeline_local.setup.jvm import Jvm
from tapeline_local.stack import (
    elasticsearch as elastic,
)
from tapeline_local.stack import (
    kafka,
    launch,
    parts,
    ports,
    supervision,
)
from tapeline_local.stack.options import StackOptions

FORMAT: Final = 1
"""To be raised where a release cannot continue the data of the one before: ledger, topics, indices, checkpoint."""
_WAY_OUT: Final = (
    "stop it with `make down` of the release that made it and remove the folder, or start under another NAME"
)
_FOLDERS = ("kafka", "checkpoint", "models", "logs", "run", "run/spark")


class SavedStack(BaseModel):
    """Data that another process needs to control a running stack."""

    model_config = ConfigDict(frozen=True)

    parts: tuple[str, ...]
    options: StackOptions
    ports: dict[str, int]
    socket: Path


class StateFolder:
    """Paths and files of one state folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.run = self.root / "run"
        self.lock = self.run / "lock"
        self.configuration = self.run / "supervisord.conf"
        self.events = self.root / "logs" / "supervisord.log"
        self._saved = self.run / "stack.json"
        self._ports = self.root / "ports.json"

    def require_format(self) -> None:
        """Accept a folder that this release can continue. A folder on which no stack ever ran is given the format.

        Raises:
            OutdatedState: a stack of another format ran on the folder.
        """
        if not self._ports.exists() and not (self.root / files.FORMAT_FILE).exists():
            # Only models or recordings that somebody put here before the first start.
            self.root.mkdir(parents=True, exist_ok=True)
            files.write_atomically(self.root / files.FORMAT_FILE, f"{FORMAT}\n".encode())
        files.require_format(self.root, FORMAT, _WAY_OUT)

    @property
    def elasticsearch(self) -> Path:
        """Return the folder of the Elasticsearch instance, outside the state folder where its user cannot enter it."""
        return paths.open_folder(self.root / "elasticsearch")

    def log(self, part: str) -> Path:
        """Return the log file of a part."""
        return self.root / "logs" / f"{part}.log"

    def log_tail(self, part: str, lines: int) -> str:
        """Return the last lines of a part's log."""
        path = self.log(part)
        if not path.exists():
            return "(no log yet)"
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 400 * lines))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])

    def saved(self) -> SavedStack | None:
        """Return the data of the last start, None if there was none."""
        return SavedStack.model_validate_json(self._saved.read_bytes()) if self._saved.exists() else None

    def prepare(self, chosen: tuple[str, ...], options: StackOptions) -> SavedStack:
        """Choose ports and write every configuration.

        Raises:
            NotSetUp: `make setup` has not made what the parts need.
        """
        for name in _FOLDERS:
            (self.root / name).mkdir(parents=True, exist_ok=True)
        numbers = ports.choose(ports.load(self._ports), options.producers)
        for server, port in options.existing.items():
            numbers[server] = port
        ports.save(self._ports, numbers)
        context = self._launch_context(numbers, options)
        if "kafka" in chosen:
            self._write_kafka(context)
        if "elasticsearch" in chosen:
            self._write_elasticsearch(context)
        for part in chosen:
            self.write_launch(part, context)
        socket = self._socket_path()
        text = supervision.configuration(chosen, socket, os.geteuid() == 0)
        self.configuration.write_text(text, encoding="utf-8")
        if self.events.exists():
            self.events.replace(self.events.with_suffix(".log.1"))
        saved = SavedStack(parts=chosen, options=options, ports=numbers, socket=socket)
        self._saved.write_text(saved.model_dump_json(indent=2), encoding="utf-8")
        return saved

    def write_launch(self, part: str, context: parts.LaunchContext) -> None:
        """Write the file that launch.py reads when the part starts."""
        launch.write(self.run / f"{part}.json", parts.launch(part, context), self.root, part)

    def relaunch(self, part: str, saved: SavedStack, env: dict[str, str]) -> None:
        """Rewrite a part's launch file with additional environment variables."""
        extra = saved.options.extra_env
        more = {**extra, part: {**extra.get(part, {}), **env}}
        options = saved.options.model_copy(update={"extra_env": more})
        self.write_launch(part, self._launch_context(saved.ports, options))

    def _launch_context(self, numbers: dict[str, int], options: StackOptions) -> parts.LaunchContext:
        if not paths.JVM_FILE.exists():
            raise NotSetUp(paths.JVM_FILE)
        home = paths.elasticsearch_home(pins.read(paths.CHECKOUT)["ELASTICSEARCH_VERSION"])
        return parts.LaunchContext(
            state=self.root,
            elasticsearch=self.elasticsearch,
            elasticsearch_home=home,
            jars=paths.JARS,
            jvm=Jvm.load(paths.JVM_FILE),
            ports=numbers,
            options=options,
            cluster_id=base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="),
            class_archives=class_archives.existing(paths.CLASS_ARCHIVES),
        )

    def _write_kafka(self, context: parts.LaunchContext) -> None:
        if not (context.jars / "kafka").is_dir():
            raise NotSetUp(context.jars / "kafka")
        folder, numbers = self.root / "kafka", context.ports
        expose = context.options.expose
        text = kafka.server_properties(
            folder / "data",
            numbers["kafka"],
            numbers["kafka_controller"],
            context.options.partitions,
            f"{expose}:{numbers['kafka_exposed']}" if expose else None,
        )
        (folder / "server.properties").write_text(text, encoding="utf-8")
        (folder / "log4j2.properties").write_text(kafka.LOG4J, encoding="utf-8")

    def _write_elasticsearch(self, context: parts.LaunchContext) -> None:
        if not context.elasticsearch_home.is_dir():
            raise NotSetUp(context.elasticsearch_home)
        folder, options = context.elasticsearch, context.options
        config = folder / "config"
        for name in ("config/jvm.options.d", "data", "logs", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        shipped = (context.elasticsearch_home / "config" / "jvm.options").read_text(encoding="utf-8")
        heap = elastic.heap_options(options.elasticsearch_heap_mib, options.fast_jit)
        numbers = context.ports
        yml = elastic.elasticsearch_yml(
            folder, numbers["elasticsearch"], numbers["elasticsearch_transport"], options.expose
        )
        files = {
            "jvm.options": elastic.jvm_options(shipped, context.jvm.missing_modules),
            "jvm.options.d/heap.options": heap,
            "elasticsearch.yml": yml,
            "log4j2.properties": elastic.LOG4J,
        }
        for name, text in files.items():
            (config / name).write_text(text, encoding="utf-8")
        if paths.needs_unprivileged_user():
            for entry in (folder, *folder.rglob("*")):
                os.chown(entry, paths.UNPRIVILEGED_ID, paths.UNPRIVILEGED_ID, follow_symlinks=False)

    def _socket_path(self) -> Path:
        socket = self.run / "supervisor.sock"
        if supervision.is_valid_socket_path(socket):
            return socket
        return Path(tempfile.mkdtemp(prefix="tapeline-")) / "supervisor.sock"

    def clear_run_files(self) -> None:
        """Remove the files that only a running stack needs."""
        saved = self.saved()
        if saved and saved.socket.parent != self.run:
            shutil.rmtree(saved.socket.parent, ignore_errors=True)
        self._saved.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete all data of the stack, including the Elasticsearch folder outside the state folder."""
        shutil.rmtree(self.elasticsearch, ignore_errors=True)
        shutil.rmtree(self.root, ignore_errors=True)
