"""Errors of the notifier, with their messages.

    NotifierError
      TargetsUnusable   the targets file cannot be used: the process does not start
      SecretUnusable    a token, an address or a key cannot be read now: retried later
      SentLogUnusable   deliveries can no longer be recorded: stop, or the next start would repeat them
      StateInUse        another notifier uses this state folder
      TopicMissing      Kafka is reachable, but the topic does not exist
      KafkaUnreachable  no broker answers

No error message contains a token, a webhook address or a key: error messages are logged.
"""

from pathlib import Path


class NotifierError(Exception):
    """Base class of the errors that this service raises."""


class TargetsUnusable(NotifierError):
    """The targets file is invalid."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"NOTIFIER_TARGETS was {path}: {reason}; a list `targets` is needed, each with name, kind and its own "
            "fields: see services/notifier/README.md"
        )


class SecretUnusable(NotifierError):
    """A file that holds a secret cannot be read, or does not hold one."""

    def __init__(self, field: str, path: Path, reason: str) -> None:
        super().__init__(f"{field} was {path} ({reason}); one line is needed: mount it there, or name another file")


class SentLogUnusable(NotifierError):
    """The sent-log cannot be read or written."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"the sent-log {path} could not be used: {reason}; a message is sent only after it is recorded: "
            "free disk space or restore the file, then start again"
        )


class StateInUse(NotifierError):
    """Another process holds the lock of the state folder. Two notifiers would send each alert twice."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"NOTIFIER_STATE was {path}, which another notifier uses; one process at a time may use it: "
            "stop the other notifier, or set another NOTIFIER_STATE and NOTIFIER_GROUP"
        )


class TopicMissing(NotifierError):
    """The topic does not exist, or this user may not describe it."""

    def __init__(self, topic: str, bootstrap: str) -> None:
        super().__init__(
            f"Kafka at {bootstrap} had no topic {topic}; the notifier does not create topics: "
            "create it, or name another in NOTIFIER_TOPIC_ALERTS"
        )


class KafkaUnreachable(NotifierError):
    """No broker answers, or the coordinator of the group does not yet give the committed offsets."""

    def __init__(self, bootstrap: str, reason: str) -> None:
        super().__init__(
            f"Kafka at {bootstrap} was not reachable: {reason}; alerts that were read already are still sent: "
            "check NOTIFIER_KAFKA_BOOTSTRAP, and protocol, user, password and authorities in NOTIFIER_KAFKA_..."
        )
