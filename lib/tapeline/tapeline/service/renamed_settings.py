"""Settings that have another name now: the old name is refused, since a setting that nobody reads hides a mistake.

Bases of settings classes inherit `RefusesRenamedSettings`. To rename a setting: add it to RENAMED.
"""

import os
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, model_validator

RENAMED: Final[Mapping[str, str]] = {
    "BOARD_ANSWER_TTL_S": "BOARD_RESPONSE_TTL_S",
    "BOARD_FEEDS_MAX": "BOARD_POLLERS_MAX",
    "BOARD_IDLE_SHARE": "BOARD_IDLE_RATIO",
    "BOARD_LOOK_S": "BOARD_HEALTH_CHECK_S",
    "BOARD_MARKET_WHOLE_S": "BOARD_MARKET_REFRESH_S",
    "BOARD_WAITING_MAX": "BOARD_QUEUED_SEARCHES_MAX",
    "DEMO_NAME": "NAME",
    "PRODUCER_CATEGORIES": "PRODUCER_MARKET_TYPES",
    "PRODUCER_HOLD_S": "PRODUCER_BACKFILL_TIMEOUT_S",
    "PRODUCER_HOLD_TRADES": "PRODUCER_BACKFILL_BUFFER_TRADES",
    "PRODUCER_SETTLE_S": "PRODUCER_BACKFILL_DELAY_S",
    "PRODUCER_TOPIC_ASSIGNMENTS": "PRODUCER_TOPIC_SHARDS",
    "SETTLE_SECONDS": "DRAIN_SECONDS",
    "STREAM_SHAPE": "STREAM_EXECUTION",
    "STREAM_TOPIC_TRADES": "STREAM_TOPICS_TRADES",
}
"""Old name of an environment variable, and its name now."""


class RenamedSetting(Exception):
    """An environment variable has an old name.

    No ValueError: pydantic would wrap it and show every value that it was given.
    """

    def __init__(self, old: str, new: str) -> None:
        super().__init__(f"{old} is set; the setting is called {new} now: rename the variable")


def refuse_renamed(environment: Mapping[str, str], prefix: str = "") -> None:
    """Refuse an environment that sets a variable by its old name.

    Args:
        environment: names and values.
        prefix: only variables that begin with it are looked at.

    Raises:
        RenamedSetting: one has an old name.
    """
    for old, new in RENAMED.items():
        if old.startswith(prefix.upper()) and old in environment:
            raise RenamedSetting(old, new)


class RefusesRenamedSettings(BaseModel):
    """Base of settings classes: refuses variables with the class's own prefix that have an old name."""

    @model_validator(mode="before")
    @classmethod
    def _no_old_names(cls, values: Any) -> Any:
        prefix = str(dict(cls.model_config).get("env_prefix", ""))
        if prefix:
            refuse_renamed(os.environ, prefix)
        return values
