"""What can go wrong in the producer, and the sentence for it.

Every error says what the value was, the rule, and the way out.
To add an error: subclass ProducerError; if a later attempt may succeed, make it a RetryableError.
"""


class ProducerError(Exception):
    """Root of everything this service raises on purpose."""


class RetryableError(ProducerError):
    """The same call may succeed in a moment."""


class NothingSelectedError(ProducerError):
    """The settings select no symbol at all."""

    def __init__(self, market_types: tuple[str, ...], quote: str) -> None:
        super().__init__(
            f"no symbol was selected in {', '.join(market_types)} with quote coin {quote!r}; at least one is needed: "
            "name existing ones in PRODUCER_SYMBOLS, or check PRODUCER_QUOTE and PRODUCER_TOP"
        )


class ExchangeUnreachableError(RetryableError):
    """No usable HTTP answer came from the exchange."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"{url} could not be reached: {reason}; an exchange must answer there: "
            "check the network and PRODUCER_REST_URL"
        )


class ExchangeRefusedError(ProducerError):
    """The exchange answered, and said no; asking again at once will not help."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"{url} was refused: {reason}; HTTP 403 means a blocked region or too many requests: "
            "wait, or point PRODUCER_REST_URL at a host that serves this address"
        )


class ExchangeAnswerError(ProducerError):
    """The exchange answered with something that is not what its documentation says."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"the answer of {url} was unusable: {reason}; the V5 format is needed: "
            "check that PRODUCER_REST_URL names a Bybit V5 host"
        )


class StalledError(ProducerError):
    """A connection is open and brings no trades."""

    def __init__(self, silence_s: float, limit_s: float) -> None:
        super().__init__(
            f"no trade came for {silence_s:.1f} s; at this connection's own rate {limit_s:.1f} s is the limit: "
            "connecting again"
        )


class AckMissingError(ProducerError):
    """The exchange does not answer subscribe requests."""

    def __init__(self, topics: tuple[str, ...], limit_s: float) -> None:
        super().__init__(
            f"subscribing to {', '.join(topics[:5])} ({len(topics)} topics) was not answered twice; "
            f"an answer is due within {limit_s:g} s: connecting again"
        )


class TopicMissingError(RetryableError):
    """Kafka is there, a topic is not."""

    def __init__(self, missing: tuple[str, ...], bootstrap: str) -> None:
        super().__init__(
            f"Kafka at {bootstrap} was without the topics {', '.join(missing)}; the producer does not create topics: "
            "create them, or name others in PRODUCER_TOPIC_TRADES, _GAPS, _REJECTS and _ASSIGNMENTS"
        )


class KafkaUnreachableError(RetryableError):
    """No broker answers."""

    def __init__(self, bootstrap: str, reason: str) -> None:
        super().__init__(
            f"Kafka at {bootstrap} was not reachable: {reason}; trades are kept in memory until it is: "
            "check PRODUCER_KAFKA_BOOTSTRAP, and protocol, user, password and authorities in PRODUCER_KAFKA_..."
        )


class FatalKafkaError(ProducerError):
    """The Kafka client cannot go on; a new process can."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the Kafka client failed for good: {reason}; a new process repairs it from the log: "
            "the supervisor must start this one anew"
        )


def is_retryable(error: BaseException) -> bool:
    """Return whether the same call may succeed in a moment."""
    return isinstance(error, RetryableError)
