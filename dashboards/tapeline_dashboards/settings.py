"""Settings of loading, read from DASHBOARDS_* once at start."""

from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from tapeline.service.connection import InvalidConnection
from tapeline.service.renamed_settings import RefusesRenamedSettings

_Seconds = Annotated[float, Field(gt=0)]
_LOOPBACK_HOSTS: Final = ("localhost", "127.0.0.1", "::1")


class Settings(RefusesRenamedSettings, BaseSettings):
    """Address, credentials and timeouts of Kibana."""

    model_config = SettingsConfigDict(env_prefix="DASHBOARDS_", frozen=True)

    kibana_url: str = "http://127.0.0.1:5601"
    """Address of Kibana, with its base path if any."""
    space: Annotated[str, Field(pattern=r"^[a-z0-9_-]*$")] = ""
    """Kibana space to load into; empty: the default space."""
    username: str | None = None
    """User; None: no authentication."""
    password_file: Path | None = None
    """File with the password of the user."""
    ca_file: Path | None = None
    """PEM file of the CAs of Kibana's certificate; None: the CAs of the system."""
    deadline_s: _Seconds = 600.0
    """Seconds until Kibana must be available and have imported every object."""
    request_timeout_s: _Seconds = 30.0
    """Timeout of one request, s."""
    poll_s: _Seconds = 3.0
    """Delay between two attempts, s."""
    log_level: str = "INFO"
    """Standard level name."""

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        parts = urlsplit(self.kibana_url)
        if parts.username or parts.password:
            remedy = "use DASHBOARDS_USERNAME and DASHBOARDS_PASSWORD_FILE"
            raise InvalidConnection(
                "DASHBOARDS_KIBANA_URL", "an address with a user in it", "addresses are logged", remedy
            )
        if parts.scheme not in ("http", "https") or not parts.hostname:
            rule = "http or https and a host are needed"
            raise InvalidConnection("DASHBOARDS_KIBANA_URL", repr(self.kibana_url), rule, "write https://host:port")
        if (self.username is None) != (self.password_file is None):
            rule = "user and password must be set together"
            raise InvalidConnection(
                "DASHBOARDS_USERNAME", self.username, rule, "set both it and DASHBOARDS_PASSWORD_FILE"
            )
        if self.username is not None and parts.scheme == "http" and parts.hostname not in _LOOPBACK_HOSTS:
            rule = "over plain http the password is readable on the network"
            raise InvalidConnection("DASHBOARDS_KIBANA_URL", repr(self.kibana_url), rule, "write https://host:port")
        return self
