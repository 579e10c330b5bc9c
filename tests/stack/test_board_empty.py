"""The real board before an Elasticsearch in which nothing was ever written."""

from pathlib import Path

from stack.boards import SPOT, Board
from stack.servers import Servers


def test_an_empty_elasticsearch_gives_empty_responses_and_is_not_reconciled(servers: Servers, tmp_path: Path) -> None:
    with servers.lend(["elasticsearch"]):
        board = Board(servers.stack("elasticsearch").addresses.elasticsearch, tmp_path / "log")
        try:
            assert board.get("symbols")["symbols"] == []
            assert board.get("tape")["trades"] == []
            assert board.get("market")["series"] == []
            assert board.get("candles", instrument=str(SPOT))["candles"] == []
            assert board.get("markers", instrument=str(SPOT))["markers"] == []
            assert (board.get("gaps")["gaps"], board.get("alerts")["alerts"]) == ([], [])
            assert (board.get("model")["scores"], board.get("model")["training_runs"]) == ([], [])
            response = board.get("reconciliation")
            assert (response["is_reconciled"], response["reasons"]) == (False, ["nothing"])
        finally:
            code = board.stop()
        assert code == 0
