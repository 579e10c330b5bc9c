"""Errors of the producer.

Every message states the value, the rule and the remedy.
To add an error: subclass ProducerError; if a later attempt may succeed, make it a RetryableError.
"""


class ProducerError(Exception):
    """Base class of all errors that this service raises."""


class RetryableError(ProducerError):
    """The same call may succeed later."""


class NothingSelectedError(ProducerError):
    """The settings select no symbol at all."""

    def __init__(self, market_types: tuple[str, ...], quote: str) -> None:
        super().__init__(
            f"no symbol was selected in {', '.join(market_types)} with quote coin {quote!r}; at least one is needed: "
            "name existing ones in PRODUCER_SYMBOLS, or check PRODUCER_QUOTE and PRODUCER_TOP"
        )


class ExchangeUnreachableError(RetryableError):
    """The exchange sent no usable HTTP response."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"{url} could not be reached: {reason}; an exchange must respond there: "
            "check the network and PRODUCER_REST_URL"
        )


class ExchangeRefusedError(ProducerError):
    """The exchange refused the request; an immediate retry would be refused, too."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"{url} was refused: {reason}; HTTP 403 means a blocked region or too many requests: "
            "wait, or point PRODUCER_REST_URL at a host that serves this address"
        )


class ExchangeResponseError(ProducerError):
    """The response of the exchange does not match its documentation."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"the response of {url} was unusable: {reason}; the V5 format is needed: "
            "check that PRODUCER_REST_URL names a Bybit V5 host"
        )


class StalledError(ProducerError):
    """A connection is open and delivers no trades."""

    def __init__(self, silence_s: float, limit_s: float) -> None:
        super().__init__(
            f"no trade arrived for {silence_s:.1f} s; at this connection's message rate the limit is {limit_s:.1f} s: "
            "reconnecting"
        )


class AckMissingError(ProducerError):
    """The exchange does not acknowledge subscribe requests."""

    def __init__(self, topics: tuple[str, ...], limit_s: float) -> None:
        super().__init__(
            f"subscribing to {', '.join(topics[:5])} ({len(topics)} topics) was not acknowledged twice; "
            f"the time-out is {limit_s:g} s: reconnecting"
        )


class TopicMissingError(RetryableError):
    """Kafka is reachable, and a topic does not exist."""

    def __init__(self, missing: tuple[str, ...], bootstrap: str) -> None:
        super().__init__(
            f"Kafka at {bootstrap} had no topics {', '.join(missing)}; the producer does not create topics: "
            "create them, or name others in PRODUCER_TOPIC_TRADES, _GAPS, _REJECTS and _SHARDS"
        )


class KafkaUnreachableError(RetryableError):
    """No broker responds."""

    def __init__(self, bootstrap: str, reason: str) -> None:
        super().__init__(
            f"Kafka at {bootstrap} was not reachable: {reason}; trades are buffered until it is: "
            "check PRODUCER_KAFKA_BOOTSTRAP, and protocol, user, password and authorities in PRODUCER_KAFKA_..."
        )


class FatalKafkaError(ProducerError):
    """The Kafka client cannot continue; a new process can."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the Kafka client failed permanently: {reason}; a new process recovers from the log: "
            "the supervisor must restart this one"
        )


def is_retryable(error: BaseException) -> bool:
    """Return whether the same call may succeed later."""
    return isinstance(error, RetryableError)
