"""Field types of Elasticsearch that the mappings of our indices are made of."""

from typing import Final

KEYWORD: Final = {"type": "keyword", "ignore_above": 256}
DATE: Final = {"type": "date", "format": "epoch_millis"}
"""ms UTC."""
LONG: Final = {"type": "long"}
DOUBLE: Final = {"type": "double"}
