"""Manifest of a model bundle.

No files here (bundle.py) and no clock: the server checks whether a bundle has expired.
To add a field: give it a default in Draft, or raise FORMAT_VERSION.
"""

import json
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tapeline.model import features

FORMAT_VERSION: Final = 1

_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_EpochMs = Annotated[int, Field(ge=0, lt=10**14)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Name = Annotated[str, Field(min_length=1, max_length=200)]


class Draft(BaseModel):
    """Manifest without the hashes of the files, which `bundle.write` adds."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    format_version: Literal[1] = FORMAT_VERSION
    kind: Literal["forest", "prior"]
    """`prior` predicts the base rate only."""
    created_at_ms: _EpochMs
    expires_at_ms: _EpochMs
    """From this time on the model is no longer used, ms UTC."""
    feature_names: tuple[_Name, ...] = features.FEATURE_NAMES
    feature_version: _Name = features.VERSION
    feature_hash: _Digest = Field(default_factory=features.schema_hash)
    label_version: _Name
    training_from_ms: _EpochMs
    training_to_ms: _EpochMs
    training_rows: Annotated[int, Field(ge=0)]
    data_digest: _Name
    """sha256 of the export it was trained on."""
    metrics: dict[_Name, _Finite]
    threshold: Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
    """A prediction is 1 where the probability is at or above this."""
    libraries: dict[_Name, _Name]
    parent_digest: _Digest | None = None
    """The bundle that was served when it was trained."""

    @model_validator(mode="after")
    def _times_ascend(self) -> Self:
        if self.expires_at_ms <= self.created_at_ms:
            raise ValueError(
                f"expires_at_ms was {self.expires_at_ms}; it must be after created_at_ms, {self.created_at_ms}"
            )
        if self.training_to_ms < self.training_from_ms:
            raise ValueError(f"training_to_ms was {self.training_to_ms}; it must not be before {self.training_from_ms}")
        return self


class Manifest(Draft):
    """A draft, and the sha256 of every other file of the bundle."""

    files: dict[Literal["forest.npz", "golden.npz"], _Digest]

    def to_bytes(self) -> bytes:
        """Return the canonical JSON whose sha256 is the bundle's digest."""
        fields = self.model_dump(mode="json")
        return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
