"""Creates the trade source that the settings name."""

import logging
from typing import Final

from tapeline_simulator.bybit import capture
from tapeline_simulator.bybit.frames import NewerFields
from tapeline_simulator.errors import CaptureMissing, CaptureRefused
from tapeline_simulator.settings import Settings
from tapeline_simulator.sources import listing, normalised
from tapeline_simulator.sources.market import SyntheticMarket
from tapeline_simulator.sources.replay import Recording, Replay
from tapeline_simulator.sources.source import TradeSource

log = logging.getLogger(__name__)
SUFFIXES: Final = (".jsonl", ".parquet")


def create_source(settings: Settings) -> TradeSource:
    """Create the trade source.

    Raises:
        CaptureMissing: a replay without a file.
        CaptureRefused: the file is not a recording.
    """
    if settings.source == "market":
        symbols = listing.LISTING + (listing.INVERSE_LISTING if settings.with_inverse else ())
        return SyntheticMarket(settings.seed, settings.rate_per_s, _newer(settings), symbols)
    recording = _read(settings)
    log.info("recording read", extra={"frames": len(recording.items), "duplicates": recording.duplicates})
    return Replay(recording, settings.speed, settings.start_grace_s * 1000)


def _newer(settings: Settings) -> NewerFields:
    return NewerFields(sequence=settings.with_sequence, rpi=settings.with_rpi)


def _read(settings: Settings) -> Recording:
    path = settings.capture
    if path is None or not path.is_file():
        raise CaptureMissing(path)
    if path.suffix not in SUFFIXES:
        raise CaptureRefused(path, "name", path.name, f"it must end in one of {SUFFIXES}")
    return capture.read(path) if path.suffix == ".jsonl" else normalised.read(path, _newer(settings))
