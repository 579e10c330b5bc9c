"""`python -m benchmarks.load BOOTSTRAP TOPIC RATE SECONDS RUN`: produces trades into Kafka at a constant rate.

The values are built before the clock starts; only the timestamps are filled in while it runs.
"""

import json
import random
import sys
import time

from confluent_kafka import KafkaError, Message, Producer
from tapeline import names
from tapeline.service import clock

SYMBOLS = 20
_PREPARED = 20_000
_TICK_S = 0.01


def _templates(run: str) -> list[tuple[str, bytes]]:
    random_source = random.Random(3)
    price = dict.fromkeys((f"B{number}USDT" for number in range(SYMBOLS)), 10_000)
    templates = []
    for _ in range(_PREPARED):
        symbol = random_source.choice(tuple(price))
        price[symbol] += random_source.choice((-1, 0, 0, 1))
        quantity = f"{random_source.randint(1, 999) / 1000:.3f}"
        head = (
            f'{{"venue":"bybit","market_type":"spot","symbol":"{symbol}","price":"{price[symbol] / 100:.2f}",'
            f'"quantity":"{quantity}","quantity_unit":"base","contract_size":null,"base_quantity":"{quantity}",'
            f'"base":"{symbol.removesuffix("USDT")}","quote":"USDT","side":"{random_source.choice(("Buy", "Sell"))}",'
            f'"frame_index":0,"is_block_trade":false,"is_rpi":false,"source":"stream","trade_id":"{run}-'
        )
        templates.append((symbol, head.encode()))
    return templates


def main() -> None:
    """Produce, then print the number of acknowledged trades as JSON."""
    bootstrap, topic, rate_text, seconds_text, run = sys.argv[1:]
    rate, count = float(rate_text), int(float(rate_text) * float(seconds_text))
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 5,
            "compression.type": "lz4",
            "partitioner": names.PARTITIONER,
            "queue.buffering.max.messages": 1_000_000,
            "log_level": 0,
        }
    )
    acked = 0

    def on_delivery(error: KafkaError | None, message: Message) -> None:
        nonlocal acked
        acked += error is None

    templates = _templates(run)
    started = time.monotonic()
    number = 0
    while number < count:
        due = min(count, int((time.monotonic() - started) * rate) + 1)
        timestamp_ms = clock.now_ms()
        for number in range(number, due):  # noqa: B020  the range is evaluated before the name is rebound
            symbol, head = templates[number % _PREPARED]
            tail = b'%d","sequence":%d,"traded_at":%d,"received_at":%d,"produced_at":%d}'
            value = head + tail % (number, number, timestamp_ms, timestamp_ms, timestamp_ms)
            producer.produce(topic, key=symbol, value=value, on_delivery=on_delivery)
        number = due
        producer.poll(0)
        time.sleep(_TICK_S)
    left = producer.flush(60)
    elapsed_s = time.monotonic() - started
    sys.stdout.write(
        json.dumps({"acked": acked, "left": left, "seconds": round(elapsed_s, 2), "rate": round(count / elapsed_s)})
    )


if __name__ == "__main__":
    main()
