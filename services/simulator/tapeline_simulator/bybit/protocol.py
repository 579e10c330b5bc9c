"""Builds the replies of a Bybit V5 public WebSocket to client requests.

Pure: text in, text out, and a set of subscribed topics.
To add an operation: add it to Session._OPERATIONS.
Source: https://bybit-exchange.github.io/docs/v5/ws/connect, and recorded replies. Replies
without a recording are marked by a comment.
"""

import secrets
from collections.abc import Callable, Collection
from typing import Any, Final, NamedTuple

import orjson

from tapeline_simulator.bybit.frames import topic

SPOT_TOPICS_A_REQUEST: Final = 10
TOPIC_CHARACTERS_A_CONNECTION: Final = 21_000
_ID_ALPHABET: Final = "0123456789abcdefghijklmnopqrstuv"
_QUOTED_BYTES: Final = 10


class Reply(NamedTuple):
    """A reply, and the symbols that were subscribed or unsubscribed."""

    text: bytes
    subscribed: tuple[str, ...] = ()
    unsubscribed: tuple[str, ...] = ()


class Request(NamedTuple):
    """A request that is a JSON object; `args` may be anything."""

    operation: str
    request_id: str | None
    args: Any


def connection_id() -> str:
    """Return a new opaque id in the current format, such as d9avt13c3kkqi46e1u9g-ge1kf."""
    letters = "".join(secrets.choice(_ID_ALPHABET) for _ in range(25))
    return f"{letters[:20]}-{letters[20:]}"


class Session:
    """Protocol state of one connection.

    Args:
        category: "spot" or "linear".
        symbols: existing symbols, case-sensitive.
        conn_id: connection id in every reply.
    """

    def __init__(self, category: str, symbols: Collection[str], conn_id: str) -> None:
        self._category, self.conn_id = category, conn_id
        self._symbol_of = {topic(symbol): symbol for symbol in symbols}
        self._topics: set[str] = set()

    def reply(self, message: str | bytes) -> Reply:
        """Return the reply to one message; no message closes the socket."""
        raw = message.encode() if isinstance(message, str) else message
        try:
            fields = orjson.loads(raw)
        except orjson.JSONDecodeError:
            fields = None
        if not isinstance(fields, dict):
            return self._reply(Request("", None, None), False, _undecodable(raw))
        request_id = fields.get("req_id")
        operation = fields.get("op")
        request = Request(
            operation if isinstance(operation, str) else "",
            request_id if isinstance(request_id, str) else None,
            fields.get("args"),
        )
        handle = self._OPERATIONS.get(request.operation)
        if handle is None:
            return self._reply(request, False, "error:invalid op", always_id=True)
        return handle(self, request)

    def _subscribe(self, request: Request) -> Reply:
        topics = _topics(request.args)
        if topics is None:
            return self._params_error(request)
        refusal = self._refusal(topics)
        if refusal is not None:
            text, always_id = refusal
            return self._reply(request, False, text, always_id=always_id)
        self._topics.update(topics)
        symbols = tuple(self._symbol_of[name] for name in topics)
        text = "subscribe" if self._category == "spot" else ""
        return self._reply(request, True, text)._replace(subscribed=symbols)

    def _refusal(self, topics: list[str]) -> tuple[str, bool] | None:
        """Return why the topics are refused, and whether the reply always has req_id."""
        spot = self._category == "spot"
        if spot and len(topics) > SPOT_TOPICS_A_REQUEST:
            return "args size >10", False
        new: set[str] = set()
        for name in topics:
            if name not in self._symbol_of:
                if spot:
                    return f"Invalid symbol :[{name}]", True
                return f"error:handler not found,topic:{name}", True
            if name in self._topics or name in new:
                # Recorded on linear only.
                return f"error:already subscribed,topic:{name}", True
            new.add(name)
        if sum(map(len, self._topics)) + sum(map(len, new)) > TOPIC_CHARACTERS_A_CONNECTION:
            # The limit is documented, its text is not: this text is an assumption.
            return f"error:args length >{TOPIC_CHARACTERS_A_CONNECTION}", True
        return None

    def _unsubscribe(self, request: Request) -> Reply:
        topics = _topics(request.args)
        if topics is None:
            return self._params_error(request)
        for name in topics:
            if name not in self._symbol_of:
                return self._reply(request, False, f"error:handler not found,topic:{name}", always_id=True)
        # An unsubscribed topic is no error: no recording of the reply exists.
        symbols = tuple(self._symbol_of[name] for name in topics if name in self._topics)
        self._topics.difference_update(topics)
        return self._reply(request, True, "")._replace(unsubscribed=symbols)

    def _ping(self, request: Request) -> Reply:
        return self._reply(request, True, "pong")

    def _params_error(self, request: Request) -> Reply:
        fields = {
            "req_id": request.request_id or "",
            "success": False,
            "ret_msg": "Params Error",
            "op": request.operation,
            "conn_id": self.conn_id,
        }
        return Reply(orjson.dumps(fields))

    def _reply(self, request: Request, success: bool, text: str, *, always_id: bool = False) -> Reply:
        """Write a reply; spot omits `req_id` if the request has none, linear sends it empty."""
        fields: dict[str, object] = {"success": success, "ret_msg": text, "conn_id": self.conn_id}
        if request.request_id is not None or always_id or self._category != "spot":
            fields["req_id"] = request.request_id or ""
        fields["op"] = request.operation
        return Reply(orjson.dumps(fields))

    _OPERATIONS: Final[dict[str, Callable[["Session", Request], Reply]]] = {
        "subscribe": _subscribe,
        "unsubscribe": _unsubscribe,
        "ping": _ping,
    }


def _topics(args: Any) -> list[str] | None:
    """Return the topics of a request, or None if `args` is not a list of strings."""
    if isinstance(args, list) and args and all(isinstance(name, str) for name in args):
        return args
    return None


def _undecodable(raw: bytes) -> str:
    """Return the error text of Bybit's decoder; recorded for texts that do not start an object."""
    shown = raw[:_QUOTED_BYTES].decode(errors="replace")
    found = shown[:1] or "\x00"
    return (
        f"Failed to decode incoming data:readObjectStart: expect {{ or n, but found {found}, "
        f"error found in #1 byte of ...|{shown}|..., bigger context ...|{shown}|..."
    )
