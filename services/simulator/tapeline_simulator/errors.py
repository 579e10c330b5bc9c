"""Errors of the simulator; each message has the remedy."""


class SimulatorError(Exception):
    """Base class of the errors of the simulator."""


class CaptureRefused(SimulatorError):
    """A recording is invalid."""

    def __init__(self, path: object, place: str, was: object, rule: str) -> None:
        super().__init__(
            f"{place} of {path} was {was!r}; {rule}. Correct the recording, or name another in SIMULATOR_CAPTURE"
        )


class CaptureMissing(SimulatorError):
    """A replay is configured without a recording."""

    def __init__(self, path: object) -> None:
        super().__init__(
            f"SIMULATOR_CAPTURE was {str(path)!r}; a replay needs the path of a .jsonl or .parquet file that exists. "
            "Name one, or set SIMULATOR_SOURCE=market"
        )


class LedgerRefused(SimulatorError):
    """The ledger on disk cannot be continued."""

    def __init__(self, path: object, place: str, was: object, rule: str) -> None:
        super().__init__(
            f"{place} of the ledger {path} was {was!r}; {rule}. Name another path in SIMULATOR_LEDGER, "
            "or move this file away"
        )


class LedgerUnwritable(SimulatorError):
    """A row could not be written; no frame of its tick was sent."""

    def __init__(self, path: object, cause: OSError) -> None:
        super().__init__(
            f"writing the ledger {path} failed with {cause}; a trade that is not in the ledger is never sent. "
            "Make room or name another path in SIMULATOR_LEDGER, then start again to continue after the last row"
        )


class ForeignLedger(SimulatorError):
    """The ledger was written by another source or from another recording."""

    def __init__(self, what: str, rule: str) -> None:
        super().__init__(
            f"{what} is {rule}; a ledger is continued only by what wrote it. Set SIMULATOR_SOURCE and "
            "SIMULATOR_CAPTURE as they were, or name another path in SIMULATOR_LEDGER"
        )
