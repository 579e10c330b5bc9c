"""What can go wrong in the notifier, and the sentence for it.

    NotifierError
      TargetsUnusable   the file of targets cannot be used: the process does not start
      SecretUnusable    a token, an address or a key cannot be read now: tried again later
      SentLogUnusable   what was sent can no longer be written down: stop, or the next start would send it again
      StateInUse        another notifier has this state folder
      TopicMissing      Kafka is there, the topic is not
      KafkaUnreachable  no broker answers

No message holds a token, an address of a webhook or a key: all of them end in logs.
"""

from pathlib import Path


class NotifierError(Exception):
    """Root of everything this service raises on purpose."""


class TargetsUnusable(NotifierError):
    """The file of targets breaks a rule."""

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
            f"the sent-log {path} could not be used: {reason}; nothing is sent that cannot be written down: "
            "make room or give it back, then start again"
        )


class StateInUse(NotifierError):
    """Two notifiers with one memory would send everything twice."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"NOTIFIER_STATE was {path}, which another notifier uses; one process at a time may: "
            "stop that one, or give this one a folder and NOTIFIER_GROUP of its own"
        )


class TopicMissing(NotifierError):
    """The topic does not exist, or this user may not see it."""

    def __init__(self, topic: str, bootstrap: str) -> None:
        super().__init__(
            f"Kafka at {bootstrap} was without the topic {topic}; the notifier does not create topics: "
            "create it, or name another in NOTIFIER_TOPIC_ALERTS"
        )


class KafkaUnreachable(NotifierError):
    """No broker answers."""

    def __init__(self, bootstrap: str, reason: str) -> None:
        super().__init__(
            f"Kafka at {bootstrap} was not reachable: {reason}; what was read already is sent meanwhile: "
            "check NOTIFIER_KAFKA_BOOTSTRAP, and protocol, user, password and authorities in NOTIFIER_KAFKA_..."
        )
