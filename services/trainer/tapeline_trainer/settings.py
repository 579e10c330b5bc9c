"""Settings of a training run, from the environment (`TRAINER_...`) and nowhere else."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from tapeline.service.connection import ElasticsearchConnection

from tapeline_trainer.rollout.settings import RolloutSettings

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class Settings(ElasticsearchConnection, RolloutSettings, BaseSettings):
    """Settings of data, training and roll-out; those of connections: tapeline.service.connection."""

    model_config = SettingsConfigDict(env_prefix="TRAINER_", frozen=True)

    elasticsearch_url: str | None = None
    """Where the trades are exported from and the verdict goes to; None reads `trades` only."""
    trades: Path | None = None
    """Parquet or CSV file to train on instead of an export."""
    models: Path = Path(".tapeline/models")
    """Folder of all model bundles."""
    output: Path = Path(".tapeline/training")
    """Folder of exports, reports and the verdict."""

    request_timeout_s: Annotated[float, Field(gt=0)] = 60.0
    retry_deadline_s: Annotated[float, Field(gt=0)] = 120.0
    """How long one request to Elasticsearch is retried."""
    snapshot_keep_alive_s: Positive = 120
    """Life of the point in time between two pages."""
    page_rows: Annotated[int, Field(gt=0, le=10_000)] = 10_000
    """Trades a page; 10,000 is what Elasticsearch allows."""

    maximum_trades: Positive = 2_000_000
    """Newest trades held in memory; the Parquet export holds all of them."""
    maximum_rows: Positive = 300_000
    """Newest labelled rows used for training and testing together."""
    minimum_rows: Positive = 2_000
    """Labelled rows below which nothing is trained."""
    minimum_test_rows: Positive = 500
    """Test rows below which nothing is trained."""

    test_share: Share = 0.30
    """Latest share of each epoch's rows, used for testing."""
    tuning_share: Share = 0.15
    """Latest share of the training rows, used to set the threshold."""
    embargo_ms: Annotated[int, Field(ge=0)] = 5_000
    """Rows this close after a split are used by neither side."""

    trees: Positive = 100
    leaf_rows: Positive = 25
    """Least rows in a leaf; grows with the data, see `training.leaf_rows`."""
    depth: Positive = 12
    samples_per_tree: Positive = 50_000
    """Most rows drawn for one tree: bounds time and size."""
    jobs: int = -1
    """Threads while fitting; -1 is the CPU limit of the process."""
    seed: int = 0

    resamples: Positive = 500
    """Bootstrap resamples behind each interval."""
    block_ms: Positive = 5_000
    """Length of a bootstrap block: trades so close are not independent."""
    expiry_hours: Annotated[float, Field(gt=0)] = 24.0
    """Age at which the model expires and is no longer used."""
    log_level: str = "INFO"
