"""Variables of `make demo`, from the environment."""

from pydantic import Field

from tapeline_local.settings import UpSettings


class DemoSettings(UpSettings):
    """Variables of `make up`, and how long the demo runs."""

    demo_seconds: float = Field(default=0.0, ge=0)
    """Seconds until the demo ends, counted from when every part is ready; 0: runs until interrupted."""
    demo_predicted: int = Field(default=0, ge=0)
    """Predicted trades before which the demo does not end by itself; training takes minutes on a slow machine."""
    train_after: int = Field(default=3_000, ge=100)
    """Stored trades after which the trainer runs once."""
    drain_seconds: float = Field(default=90.0, gt=0)
    """Seconds that the end of the demo waits for the last trades to be searchable."""
