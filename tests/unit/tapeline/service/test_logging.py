import json
import logging

import pytest
from tapeline.service import logging as json_logging


@pytest.fixture
def restored():
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


def test_a_line_is_one_json_object_with_its_service_and_extras(restored, capsys):
    json_logging.configure("producer")
    logging.getLogger("feed").warning("topic refused", extra={"topic": "publicTrade.X"})
    line = json.loads(capsys.readouterr().out)
    wanted = {"level": "WARNING", "logger": "feed", "message": "topic refused", "service": "producer"}
    assert line.items() >= wanted.items()
    assert line["topic"] == "publicTrade.X"
