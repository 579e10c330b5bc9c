"""The trainer against a real Elasticsearch: whole exports, gaps, refusals, stored verdicts."""

import csv
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from elasticsearch import Elasticsearch, helpers
from tapeline import names, trade
from tapeline.model import bundle
from tapeline.records import gap
from tapeline.records.gap import Gap
from tapeline_trainer.data import export, source
from tapeline_trainer.data.elasticsearch import VERDICT_MAPPING, Store
from tapeline_trainer.errors import ElasticsearchFailed, ExportIncomplete, InvalidTrades, NoTradesStored
from tapeline_trainer.settings import Settings
from unit.trainer import factories

DAY_MS = 86_400_000
MIDNIGHT_MS = factories.START_MS // DAY_MS * DAY_MS


@pytest.fixture
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url, request_timeout=60) as client:
        yield client


@pytest.fixture
def prefix() -> str:
    return f"tapeline-test-{uuid.uuid4().hex[:8]}-"


def identity(row: dict[str, Any]) -> str:
    return names.identity(*(row[name] for name in ("venue", "market_type", "symbol", "trade_id")))


def store(client: Elasticsearch, prefix: str, documents: list[dict[str, Any]]) -> None:
    """Write trades as the stream does: one index a day, the identity as id."""
    days = {
        names.index_for_trade(document["traded_at"]).removeprefix(names.INDEX_TRADES_PREFIX) for document in documents
    }
    for day in days:
        client.indices.create(index=prefix + day, mappings=trade.elastic_mapping())
    actions = (
        {
            "_op_type": "create",
            "_index": prefix + names.index_for_trade(document["traded_at"]).removeprefix(names.INDEX_TRADES_PREFIX),
            "_id": identity(document),
            "_source": {**document, "@timestamp": document["traded_at"]},
        }
        for document in documents
    )
    helpers.bulk(client, actions, chunk_size=2_000)
    client.indices.refresh(index=f"{prefix}*")


def store_gaps(client: Elasticsearch, index: str, *gaps: Gap) -> None:
    client.indices.create(index=index, mappings=gap.MAPPING)
    for one in gaps:
        document = {**one.model_dump(), "@timestamp": one.detected_at}
        client.index(index=index, id=one.identity(), document=document, refresh="wait_for")


def exported(url: str, prefix: str, path: Path, **changes: Any) -> int:
    with Store(url, Settings(**changes)) as elastic:
        return export.to_parquet(elastic, path, f"{prefix}*", f"gaps-of-{prefix}")


def test_export_over_two_days_is_complete_and_keeps_every_digit(client, elasticsearch_url, prefix, tmp_path) -> None:
    documents = factories.market(15_000, 1, start_ms=MIDNIGHT_MS - 2_000_000)
    documents += factories.market(10_000, 2, start_ms=MIDNIGHT_MS - 2_000_000, symbol="ETHUSDT", market_type="linear")
    documents[7]["price"] = "0.00000010"
    store(client, prefix, documents)
    assert len(client.indices.get(index=f"{prefix}*")) == 2

    assert exported(elasticsearch_url, prefix, tmp_path / "t.parquet") == 25_000
    rows = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert sorted(rows, key=identity) == sorted(documents, key=identity)

    trades = source.read(tmp_path / "t.parquet", 10**6)
    assert export.to_csv(trades, tmp_path / "t.csv") == 25_000
    with (tmp_path / "t.csv").open(encoding="utf-8") as file:
        found = {identity(row): (row["price"], row["quantity"]) for row in csv.DictReader(file)}
    assert found == {identity(row): (row["price"], row["quantity"]) for row in documents}


def test_gap_on_record_parts_the_trades_around_it(client, elasticsearch_url, prefix, tmp_path) -> None:
    documents = factories.market(60, 3)
    store(client, prefix, documents)
    store_gaps(client, f"gaps-of-{prefix}", factories.gap(documents[29], documents[30]))
    exported(elasticsearch_url, prefix, tmp_path / "t.parquet")
    trades = source.read(tmp_path / "t.parquet", 10**6)
    export.to_csv(trades, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(encoding="utf-8") as file:
        targets = [row["target"] for row in csv.DictReader(file)]
    assert [place for place, target in enumerate(targets) if target == ""] == [29, 59]


def test_export_reads_small_pages_to_the_end(client, elasticsearch_url, prefix, tmp_path) -> None:
    store(client, prefix, factories.market(100, 4))
    assert exported(elasticsearch_url, prefix, tmp_path / "t.parquet", page_rows=10) == 100


def test_trades_that_arrive_during_an_export_do_not_disturb_it(client, elasticsearch_url, prefix) -> None:
    store(client, prefix, factories.market(100, 5))
    with Store(elasticsearch_url, Settings(page_rows=30)) as elastic:
        pages = elastic.snapshot(f"{prefix}*")
        read = len(next(pages))
        late = factories.document(traded_at=factories.START_MS + 7)
        index = next(iter(client.indices.get(index=f"{prefix}*")))
        client.index(index=index, document=late, refresh="wait_for")
        assert read + sum(len(page) for page in pages) == 100


def test_pages_that_do_not_add_up_to_the_count_abort_the_export(client, elasticsearch_url, prefix, tmp_path) -> None:
    class Forgetful(Elasticsearch):
        """A server that loses the second page."""

        def search(self, **request: Any) -> Any:
            answer = super().search(**request)
            if "search_after" in request:
                answer["hits"]["hits"].clear()
            return answer

    store(client, prefix, factories.market(50, 6))
    with Store(elasticsearch_url, Settings(page_rows=20)) as elastic:
        elastic._client = Forgetful(elasticsearch_url)
        with pytest.raises(ExportIncomplete, match="were 20; they must be the 50"):
            export.to_parquet(elastic, tmp_path / "t.parquet", f"{prefix}*")
        elastic._client.close()
    assert list(tmp_path.iterdir()) == []


def test_missing_index_is_refused_and_writes_nothing(elasticsearch_url, prefix, tmp_path) -> None:
    with pytest.raises(NoTradesStored, match="was 0; it must be at least 1"):
        exported(elasticsearch_url, prefix, tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []


def test_stored_document_that_is_no_trade_is_refused_by_name(client, elasticsearch_url, prefix, tmp_path) -> None:
    client.index(index=f"{prefix}1", document={**factories.document(), "price": 1.5}, refresh="wait_for")
    with pytest.raises(InvalidTrades, match=prefix):
        exported(elasticsearch_url, prefix, tmp_path / "t.parquet")


def test_verdict_is_stored_under_its_run_and_unknown_fields_are_refused(client, elasticsearch_url) -> None:
    client.indices.delete(index=names.INDEX_MODELS, ignore_unavailable=True)
    run_id = f"run-{uuid.uuid4().hex}"
    verdict = {"@timestamp": factories.START_MS, "run_id": run_id, "promoted": True, "auc": 0.61}
    with Store(elasticsearch_url, Settings()) as elastic:
        elastic.save_verdict(run_id, verdict)
        elastic.save_verdict(run_id, verdict)
        with pytest.raises(ElasticsearchFailed, match="strict"):
            elastic.save_verdict(run_id, {**verdict, "unheard_of": 1})
    assert client.get(index=names.INDEX_MODELS, id=run_id)["_source"] == verdict


def test_index_of_an_older_version_learns_the_newer_fields(client, elasticsearch_url) -> None:
    client.indices.delete(index=names.INDEX_MODELS, ignore_unavailable=True)
    known = {name: VERDICT_MAPPING["properties"][name] for name in ("@timestamp", "run_id", "promoted")}
    client.indices.create(index=names.INDEX_MODELS, mappings={"dynamic": "strict", "properties": known})
    verdict = {"@timestamp": factories.START_MS, "run_id": "r", "rollout": "rolled_back", "rollout_seconds": 1.5}
    with Store(elasticsearch_url, Settings()) as elastic:
        elastic.save_verdict("r", verdict)
    mapping = client.indices.get_mapping(index=names.INDEX_MODELS)[names.INDEX_MODELS]["mappings"]
    assert mapping["dynamic"] == "strict" and set(mapping["properties"]) == set(VERDICT_MAPPING["properties"])
    assert client.get(index=names.INDEX_MODELS, id="r")["_source"] == verdict


def test_one_command_goes_from_stored_trades_to_a_stored_verdict(new_stack: Callable[..., Any], tmp_path) -> None:
    stack = new_stack("elasticsearch")
    stack.up()
    url = stack.addresses.elasticsearch
    with Elasticsearch(url, request_timeout=60) as client:
        store(client, names.INDEX_TRADES_PREFIX, factories.market(6_000, 8))
        settings = {
            "TRAINER_ELASTICSEARCH_URL": url,
            "TRAINER_MODELS": str(tmp_path / "models"),
            "TRAINER_OUTPUT": str(tmp_path / "out"),
            "TRAINER_TREES": "20",
        }
        command = [sys.executable, "-W", "error", "-m", "tapeline_trainer"]
        done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        last_log = json.loads(done.stdout.splitlines()[-1])
        verdict = json.loads((tmp_path / "out" / "verdict.json").read_text())
        assert client.get(index=names.INDEX_MODELS, id=verdict["run_id"])["_source"] == verdict
    assert last_log["promoted"] and bundle.current(tmp_path / "models") == last_log["digest"] == verdict["digest"]
    assert {"trades.parquet", "trades.csv", "report.md"} <= {path.name for path in (tmp_path / "out").iterdir()}
