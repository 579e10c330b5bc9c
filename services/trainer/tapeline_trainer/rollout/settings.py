"""Settings of the roll-out into a cluster, part of `settings.Settings`: `TRAINER_REGISTRY` and so on."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+(:[0-9]{1,5})?$")]
_PART = r"[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*"
Repository = Annotated[str, Field(pattern=rf"^{_PART}(/{_PART})*$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
Seconds = Annotated[float, Field(gt=0)]


class RolloutSettings(BaseModel):
    """Registry of model images, Deployment that serves them, and limits of a roll-out."""

    registry: Host | None = None
    """host[:port] of the registry as the trainer reaches it; None promotes in the folder `models`."""
    registry_reference: Host | None = None
    """host[:port] under which the nodes pull from it; None is the same."""
    registry_insecure: bool = False
    """Plain HTTP."""
    registry_ca_file: Path | None = None
    """PEM file of its certificate authority; None trusts the system's."""
    registry_username: str | None = None
    registry_password_file: Path | None = None
    """File that holds the password; both or neither."""
    registry_timeout_s: Seconds = 60.0
    """For one request."""
    repository: Repository = "tapeline/models"

    kubeconfig: Path | None = None
    """None is the service account of the pod."""
    namespace: Name = "tapeline-inference"
    deployment: Name = "inference"
    volume: Name = "model"
    """Name of the Deployment's image volume."""
    cluster_timeout_s: Seconds = 30.0
    """For one request to the API server."""

    rollout_timeout_s: Seconds = 900.0
    """How long a roll-out may take until every replica is new; above the Deployment's own deadline."""
    poll_s: Seconds = 2.0
    """Between two samples."""
    watch_s: Annotated[float, Field(ge=0)] = 120.0
    """How long the new model is monitored before the roll-out is complete."""
    watch_tolerance_s: Seconds = 15.0
    """How long the service may be unhealthy without a break: traffic follows replicas with a delay."""
    watch_error_share: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.05
    """Share of a replica's requests that may fail for the model's or the server's fault."""
    watch_minimum_requests: Annotated[int, Field(gt=0)] = 20
    """Requests below which a replica's share is not evaluated."""
    inference_url: Annotated[str, Field(pattern=r"^https?://[^/]+$")] | None = None
    """The service that is monitored; None monitors the replicas only."""

    @model_validator(mode="after")
    def _password_has_a_user(self) -> Self:
        if (self.registry_username is None) != (self.registry_password_file is None):
            raise ValueError("set TRAINER_REGISTRY_USERNAME and TRAINER_REGISTRY_PASSWORD_FILE, both or neither")
        if self.registry_insecure and self.registry_username is not None:
            raise ValueError("TRAINER_REGISTRY_INSECURE would send the password in the clear; leave one of them out")
        return self
