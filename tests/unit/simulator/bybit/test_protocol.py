"""Replies of the socket, byte for byte; expected texts are recorded or documented."""

import json
import os
from pathlib import Path

import pytest
from tapeline_simulator.bybit.protocol import Session, connection_id

SYMBOLS = ("BTCUSDT", "ETHUSDT", *(f"A{number}USDT" for number in range(20)))
ID = "d9avt13c3kkqi46e1u9g-ge1kf"


def replies_to(category: str, *messages: object) -> list[dict[str, object]]:
    session = Session(category, SYMBOLS, ID)
    texts = [message if isinstance(message, str) else json.dumps(message) for message in messages]
    return [json.loads(session.reply(text).text) for text in texts]


def subscribe(*symbols: str, **more: str) -> dict[str, object]:
    return {"op": "subscribe", "args": [f"publicTrade.{symbol}" for symbol in symbols], **more}


@pytest.mark.parametrize(
    ("category", "message", "expected"),
    [
        ("spot", subscribe("BTCUSDT"), {"success": True, "ret_msg": "subscribe", "conn_id": ID, "op": "subscribe"}),
        (
            "spot",
            subscribe("BTCUSDT", req_id="10001"),
            {"success": True, "ret_msg": "subscribe", "conn_id": ID, "req_id": "10001", "op": "subscribe"},
        ),
        (
            "linear",
            subscribe("BTCUSDT"),
            {"success": True, "ret_msg": "", "conn_id": ID, "req_id": "", "op": "subscribe"},
        ),
        (
            "linear",
            subscribe("NAS100USDT", req_id="7"),
            {
                "success": False,
                "ret_msg": "error:handler not found,topic:publicTrade.NAS100USDT",
                "conn_id": ID,
                "req_id": "7",
                "op": "subscribe",
            },
        ),
        (
            "spot",
            subscribe("NOPEUSDT"),
            {
                "success": False,
                "ret_msg": "Invalid symbol :[publicTrade.NOPEUSDT]",
                "conn_id": ID,
                "req_id": "",
                "op": "subscribe",
            },
        ),
        (
            "spot",
            subscribe(*SYMBOLS[:11]),
            {"success": False, "ret_msg": "args size >10", "conn_id": ID, "op": "subscribe"},
        ),
        (
            "linear",
            {"op": "subscribe", "args": "publicTrade.BTCUSDT", "req_id": "1"},
            {"req_id": "1", "success": False, "ret_msg": "Params Error", "op": "subscribe", "conn_id": ID},
        ),
        ("spot", {"op": "ping"}, {"success": True, "ret_msg": "pong", "conn_id": ID, "op": "ping"}),
        (
            "spot",
            {"op": "ping", "req_id": "9"},
            {"success": True, "ret_msg": "pong", "conn_id": ID, "req_id": "9", "op": "ping"},
        ),
        ("linear", {"op": "ping"}, {"success": True, "ret_msg": "pong", "conn_id": ID, "req_id": "", "op": "ping"}),
        (
            "linear",
            {"op": "auth", "req_id": "2"},
            {"success": False, "ret_msg": "error:invalid op", "conn_id": ID, "req_id": "2", "op": "auth"},
        ),
    ],
)
def test_reply_has_the_shape_and_key_order_of_its_category(category, message, expected):
    (reply,) = replies_to(category, message)
    assert list(reply.items()) == list(expected.items())


def test_text_that_is_no_json_gets_the_error_of_the_decoder():
    (reply,) = replies_to("linear", "hello")
    start = "Failed to decode incoming data:readObjectStart: expect { or n, but found h, "
    assert not reply["success"] and reply["ret_msg"].startswith(start)


@pytest.mark.parametrize("message", ["", "[1]", "7", "{", b"\xff\xfe", '{"op":5}', '{"op":"subscribe"}'])
def test_no_message_at_all_raises(message):
    assert b'"success":false' in Session("spot", SYMBOLS, ID).reply(message).text


def test_topic_already_subscribed_refuses_the_whole_batch():
    session = Session("linear", SYMBOLS, ID)
    session.reply(json.dumps(subscribe("BTCUSDT")))
    reply = session.reply(json.dumps(subscribe("ETHUSDT", "BTCUSDT", req_id="2")))
    assert json.loads(reply.text)["ret_msg"] == "error:already subscribed,topic:publicTrade.BTCUSDT"
    assert reply.subscribed == ()
    # ETHUSDT was refused with the batch, so it can still be subscribed to.
    assert session.reply(json.dumps(subscribe("ETHUSDT"))).subscribed == ("ETHUSDT",)


def test_lower_case_symbol_is_unknown():
    (reply,) = replies_to("linear", subscribe("btcusdt"))
    assert reply["ret_msg"] == "error:handler not found,topic:publicTrade.btcusdt"


def test_ten_topics_on_spot_and_more_on_linear_are_taken():
    assert replies_to("spot", subscribe(*SYMBOLS[:10]))[0]["success"]
    assert replies_to("linear", subscribe(*SYMBOLS))[0]["success"]


def test_topics_of_more_than_21000_characters_are_refused_and_unsubscribing_frees_room():
    symbols = [f"S{number:029d}" for number in range(600)]  # 42 characters a topic: 500 of them fit
    session = Session("linear", symbols, ID)
    assert session.reply(json.dumps(subscribe(*symbols[:500]))).subscribed
    assert b'"success":false' in session.reply(json.dumps(subscribe(symbols[500]))).text
    session.reply(json.dumps({"op": "unsubscribe", "args": [f"publicTrade.{symbols[0]}"]}))
    assert session.reply(json.dumps(subscribe(symbols[500]))).subscribed == (symbols[500],)


def test_unsubscribed_symbol_is_named_and_can_be_subscribed_again():
    session = Session("linear", SYMBOLS, ID)
    session.reply(json.dumps(subscribe("BTCUSDT", "ETHUSDT")))
    reply = session.reply('{"op":"unsubscribe","args":["publicTrade.ETHUSDT"],"req_id":"3"}')
    assert reply.unsubscribed == ("ETHUSDT",)
    assert json.loads(reply.text) == {
        "success": True,
        "ret_msg": "",
        "conn_id": ID,
        "req_id": "3",
        "op": "unsubscribe",
    }
    assert session.reply(json.dumps(subscribe("ETHUSDT"))).subscribed == ("ETHUSDT",)


def test_connection_ids_differ_and_have_the_current_format():
    first, second = connection_id(), connection_id()
    assert first != second
    assert [len(part) for part in first.split("-")] == [20, 5]


@pytest.mark.captures
@pytest.mark.parametrize("category", ["spot", "linear"])
def test_acknowledgement_has_the_keys_and_texts_of_the_recorded_ones(category):
    folder = os.environ.get("CAPTURES")
    if not folder:
        pytest.skip("CAPTURES is not set; it names the folder that holds bybit/bybit_v5_control_and_send.jsonl")
    path = Path(folder) / "bybit" / "bybit_v5_control_and_send.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    category_of = {record["conn"]: record["addr"].rpartition("/")[2] for record in records if "addr" in record}
    recorded = [
        list(json.loads(record["data"], object_pairs_hook=list))
        for record in records
        if record["t"] == "recv" and category_of[record["conn"]] == category
    ]
    assert recorded
    built = json.loads(
        Session(category, SYMBOLS, ID).reply(json.dumps(subscribe("BTCUSDT"))).text, object_pairs_hook=list
    )
    for pairs in recorded:
        assert _but_conn_id(pairs) == _but_conn_id(built)


def _but_conn_id(pairs: list[tuple[str, object]]) -> list[tuple[str, object]]:
    return [(name, None if name == "conn_id" else value) for name, value in pairs]
