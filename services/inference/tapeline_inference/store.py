"""Holds the served model: polls the pointer, verifies the bundle that it names, and swaps the model in one assignment.

A refused bundle changes only a counter, a log line and the reason in readiness: the model before it is still served.
A request reads the served model once, so its response and the digest in it always belong together.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tapeline.model import bundle as model_bundle
from tapeline.model.bundle import BundleRefused, Manifest
from tapeline.service.clock import now_ms
from tapeline.service.health import Health

from tapeline_inference import metrics
from tapeline_inference.compiled import CompiledForest
from tapeline_inference.errors import ModelExpired, ModelUnavailable

log = logging.getLogger(__name__)

CONDITION: Final = "model"
REFUSED_RETRY_S: Final = 10.0
"""A refused bundle is tried again this often: it may not be completely written yet."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A verified model.

    Attributes:
        digest: its version.
        manifest: of its bundle.
        forest: its compiled form.
    """

    digest: str
    manifest: Manifest
    forest: CompiledForest


class ModelStore:
    """Holds the served model; `refresh` runs in one thread at a time, `get` anywhere."""

    def __init__(
        self, models: Path, health: Health, cache: Path | None = None, clock_ms: Callable[[], int] = now_ms
    ) -> None:
        """Serve nothing yet.

        Args:
            models: folder of bundles.
            health: gets the condition "model", and a beat at every read of the pointer.
            cache: folder of machine code, see kernel.compile_kernels.
            clock_ms: wall time, ms UTC.
        """
        self._models, self._health, self._cache, self._clock_ms = models, health, cache, clock_ms
        self._served: ServedModel | None = None
        self._why = "nothing has been promoted yet"
        self._refused: tuple[str | None, str] | None = None
        self._retry_at_s = 0.0

    def get(self) -> ServedModel:
        """Return the model to predict with.

        Raises:
            ModelUnavailable: there is none.
            ModelExpired: it has expired.
        """
        served = self.latest()
        over_ms = self._clock_ms() - served.manifest.expires_at_ms
        if over_ms >= 0:
            raise ModelExpired(over_ms)
        return served

    def latest(self) -> ServedModel:
        """Return the model, expired or not.

        Raises:
            ModelUnavailable: there is none.
        """
        if self._served is None:
            raise ModelUnavailable(self._why)
        return self._served

    def update_health(self) -> None:
        """Update readiness and the gauges."""
        try:
            self.get()
        except (ModelUnavailable, ModelExpired) as error:
            self._health.set_unready(CONDITION, str(error))
        else:
            self._health.set_ready(CONDITION)
        served = self._served
        age_ms = self._clock_ms() - served.manifest.created_at_ms if served else math.nan
        left_ms = served.manifest.expires_at_ms - self._clock_ms() if served else math.nan
        metrics.MODEL_AGE_S.set(age_ms / 1000)
        metrics.MODEL_EXPIRES_S.set(left_ms / 1000)

    def refresh(self) -> None:
        """Read the pointer once, and serve its model if it is another and passes verification."""
        digest: str | None = None
        try:
            digest = model_bundle.current(self._models)
            is_deferred = self._refused and self._refused[0] == digest and time.monotonic() < self._retry_at_s
            if digest and not is_deferred and (self._served is None or self._served.digest != digest):
                self._serve(self._load(digest))
            elif digest and self._served is not None and self._served.digest == digest:
                self._refused = None
        except BundleRefused as error:
            self._refuse(digest, error.reason, str(error))
        self._health.beat()
        self.update_health()

    def _load(self, digest: str) -> ServedModel:
        bundle = model_bundle.read(self._models, digest)
        forest = CompiledForest(bundle.forest, len(bundle.manifest.feature_names), self._cache)
        forest.verify(bundle.golden_x, bundle.golden_p)
        return ServedModel(digest, bundle.manifest, forest)

    def _serve(self, new: ServedModel) -> None:
        old, self._served, self._refused = self._served, new, None
        metrics.MODEL.clear()
        manifest = new.manifest
        metrics.MODEL.labels(new.digest, manifest.kind, manifest.feature_version, manifest.label_version).set(1)
        metrics.SWAPS.inc()
        log.info("model swapped", extra={"digest": new.digest, "before": old.digest if old else None})

    def _refuse(self, digest: str | None, reason: str, message: str) -> None:
        self._retry_at_s = time.monotonic() + REFUSED_RETRY_S
        if self._refused == (digest, message):
            return
        self._refused, self._why = (digest, message), f"the promoted bundle was refused, {message}"
        metrics.REFUSALS.labels(reason).inc()
        kept = self._served.digest if self._served else None
        log.error("model refused", extra={"digest": digest, "reason": reason, "rule": message, "kept": kept})

    async def poll(self, poll_s: float) -> None:
        """Refresh until cancelled.

        Args:
            poll_s: seconds between two reads.
        """
        while True:
            await asyncio.to_thread(self.refresh)
            await asyncio.sleep(poll_s)
