"""What can be set from outside, read from DASHBOARDS_* once at start."""

from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from tapeline.service.connection import InvalidConnection

_Seconds = Annotated[float, Field(gt=0)]
_HERE: Final = ("localhost", "127.0.0.1", "::1")


class Settings(BaseSettings):
    """Settings of loading."""

    model_config = SettingsConfigDict(env_prefix="DASHBOARDS_", frozen=True)

    kibana_url: str = "http://127.0.0.1:5601"
    """Address of Kibana, with its base path where it has one."""
    space: Annotated[str, Field(pattern=r"^[a-z0-9_-]*$")] = ""
    """Space to load into; empty: the default one."""
    username: str | None = None
    """User; None: none is sent."""
    password_file: Path | None = None
    """File with that user's password."""
    ca_file: Path | None = None
    """PEM file of the authorities that sign Kibana's certificate; None: those the system trusts."""
    deadline_s: _Seconds = 600.0
    """Seconds in which Kibana must become available and take all."""
    request_timeout_s: _Seconds = 30.0
    """Seconds for one request."""
    poll_s: _Seconds = 3.0
    """Seconds between two tries."""
    log_level: str = "INFO"
    """Standard level name."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        parts = urlsplit(self.kibana_url)
        if parts.username or parts.password:
            way_out = "use DASHBOARDS_USERNAME and DASHBOARDS_PASSWORD_FILE"
            raise InvalidConnection(
                "DASHBOARDS_KIBANA_URL", "an address with a user in it", "such an address ends in logs", way_out
            )
        if parts.scheme not in ("http", "https") or not parts.hostname:
            rule = "http or https and a host are needed"
            raise InvalidConnection("DASHBOARDS_KIBANA_URL", repr(self.kibana_url), rule, "write https://host:port")
        if (self.username is None) != (self.password_file is None):
            rule = "user and password say something together"
            raise InvalidConnection(
                "DASHBOARDS_USERNAME", self.username, rule, "set both it and DASHBOARDS_PASSWORD_FILE"
            )
        if self.username is not None and parts.scheme == "http" and parts.hostname not in _HERE:
            rule = "over plain http a password leaves this machine readable"
            raise InvalidConnection("DASHBOARDS_KIBANA_URL", repr(self.kibana_url), rule, "write https://host:port")
        return self
