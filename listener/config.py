"""The settings of the service, read once at the start from the environment and `.env` files."""

from __future__ import annotations

import base64
import ipaddress
import json
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr, model_validator
from pydantic_settings import NoDecode

from listener.database_url import understood
from listener.environment import Environment, Url, setting
from listener.errors import ConfigError

__all__ = ["Environment", "Settings", "Url", "setting"]


def _milliseconds(value: object) -> object:
    """Convert texts, which are milliseconds in existing deployments; numbers from Python are seconds."""
    return float(value) / 1000 if isinstance(value, str) else value


def _level(value: object) -> object:
    return {"warn": "warning"}.get(value.lower(), value.lower()) if isinstance(value, str) else value


def _comma_list(value: object) -> object:
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


def _postgres_url(value: SecretStr) -> SecretStr:
    return SecretStr(understood(value.get_secret_value()))


def _address(value: str) -> str:
    return value if value == "localhost" else str(ipaddress.ip_address(value))


def _long(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < 16:
        raise ValueError
    return value


Milliseconds = Annotated[float, BeforeValidator(_milliseconds)]
Token = Annotated[SecretStr, AfterValidator(_long)]
Level = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_level)]

_PORT_FORM = "a whole number from 0 to 65535"
_LONG_FORM = "at least 16 characters, such as `openssl rand -hex 32` prints"


class Settings(Environment):
    """The settings of the service. Durations are seconds here, also those that the environment has in milliseconds."""

    # One setting a paragraph: its default and meaning, its allowed values, its variables.
    # fmt: off
    database_url: Annotated[SecretStr, AfterValidator(_postgres_url)] | None = setting(
        None, "The Postgres database, by a direct or session-pooled connection.",
        "a URL that starts with postgresql://, special characters of the password percent-encoded", "DATABASE_URL")
    supabase_url: Url | None = setting(
        None, "The address of the Supabase project.",
        "a URL such as https://abc.supabase.co", "SUPABASE_URL", "NEXT_PUBLIC_SUPABASE_URL")
    supabase_service_key: SecretStr | None = setting(
        None, "The project's secret key, which bypasses row-level security.",
        "the service_role or secret key of the project's API settings",
        "SUPABASE_SERVICE_KEY", "SUPABASE_SERVICE_ROLE_KEY")
    supabase_anon_key: SecretStr | None = setting(
        None, "The project's public key. The service also needs the secret key.",
        "the anon or publishable key of the project's API settings",
        "SUPABASE_ANON_KEY", "NEXT_PUBLIC_SUPABASE_ANON_KEY")
    supabase_jwt_secret: SecretStr | None = setting(
        None, "The secret with which an older project signs its users' tokens; newer projects publish their keys.",
        "the JWT secret of the project's API settings", "SUPABASE_JWT_SECRET")
    poll_interval: Milliseconds = setting(
        30.0, "Milliseconds between sweeps, which find jobs whose events were lost.",
        "milliseconds, at least 100, such as 30000", "POLL_INTERVAL", ge=0.1)
    max_concurrent_jobs: int | None = setting(
        None, "The most jobs that run at once in this process; unset: the sum of its handlers' slots.",
        "a whole number from 1 up", "MAX_CONCURRENT_JOBS", ge=1)
    job_timeout: Milliseconds | None = setting(
        None, "Milliseconds that an attempt may take if its handler sets no timeout.",
        "milliseconds, at least 1000, such as 300000", "JOB_TIMEOUT", ge=1)
    lease: float = setting(
        20.0, "Seconds without a heartbeat after which another worker gets the job.",
        "seconds above 0, such as 20", "LEASE", gt=0)
    heartbeat: float = setting(
        5.0, "Seconds between heartbeats; less than half of `LEASE`.",
        "seconds above 0, such as 5", "HEARTBEAT", gt=0)
    shutdown_grace: float = setting(
        25.0, "Seconds that running jobs get to finish at shutdown, before they are released.",
        "seconds from 0 up, such as 25", "SHUTDOWN_GRACE", ge=0)
    temp_dir: Path | None = setting(
        None, "The folder for the scratch folders of jobs; unset: the system's temporary folder.",
        "the path of a folder", "TEMP_DIR")
    storage_dir: Path | None = setting(
        None, "The folder of the local storage, which the service serves by signed URLs.",
        "the path of a folder", "STORAGE_DIR")
    s3_endpoint: Url | None = setting(
        None, "The S3 storage to use instead of Supabase Storage; needs the extra `s3`.",
        "a URL such as https://s3.eu-central-1.amazonaws.com", "S3_ENDPOINT")
    s3_access_key_id: str | None = setting(
        None, "The id of the access key of the S3 storage.",
        "the access key id that the provider shows", "S3_ACCESS_KEY_ID")
    s3_secret_access_key: SecretStr | None = setting(
        None, "The access key of the S3 storage.",
        "the secret access key that the provider showed once", "S3_SECRET_ACCESS_KEY")
    s3_region: str = setting(
        "us-east-1", "The region of the S3 storage.",
        "a name such as eu-central-1", "S3_REGION")
    media_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_list)] = setting(
        (), "Hosts from which media may be fetched although their addresses are private or plain http.",
        "host names separated by commas, such as media.local,10.0.0.7:8080", "MEDIA_HOSTS")
    media_hosts_only: bool = setting(
        False, "Whether media may be fetched only from `MEDIA_HOSTS` and the host of `SUPABASE_URL`.",
        "true or false", "MEDIA_HOSTS_ONLY")
    ffmpeg_memory_mb: int = setting(
        4096, "Megabytes of memory that one ffmpeg process may use.",
        "megabytes, at least 256, such as 4096", "FFMPEG_MEMORY_MB", ge=256)
    progress_broadcast: int = setting(
        0, "The most Realtime messages a second that send progress to the browsers of users; 0: none.",
        "a whole number from 0 up, such as 20", "PROGRESS_BROADCAST", ge=0)
    log_level: Level = setting(
        "info", "The least severe level of log lines to write.",
        "debug, info, warning or error", "LOG_LEVEL")
    enable_health_check: bool = setting(
        True, "Whether the service serves HTTP.",
        "true or false", "ENABLE_HEALTH_CHECK")
    host: Annotated[str, AfterValidator(_address)] | None = setting(
        None, "The address to listen on; unset: 127.0.0.1, or 0.0.0.0 where PORT is set.",
        "an IP address or localhost", "HOST")
    port: int | None = setting(
        None, "The HTTP port, as hosting services such as Railway set it; overrides `HEALTH_CHECK_PORT`.",
        _PORT_FORM, "PORT", ge=0, le=65535)
    health_check_port: int = setting(
        3001, "The HTTP port; 0 is any free one.",
        _PORT_FORM, "HEALTH_CHECK_PORT", ge=0, le=65535)
    public_url: Url | None = setting(
        None, "The address by which browsers reach this service; links to it start with this address.",
        "a URL such as https://jobs.example.com", "PUBLIC_URL")
    api_token: Token | None = setting(
        None, "The token that callers from other machines send as `Authorization: Bearer …`.",
        _LONG_FORM, "API_TOKEN")
    webhook_secret: Token | None = setting(
        None, "The secret that the database's webhooks send.",
        _LONG_FORM, "WEBHOOK_SECRET")
    # fmt: on

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.lease <= 2 * self.heartbeat:
            raise ConfigError(
                f"LEASE ({self.lease:g} s) must be more than twice HEARTBEAT ({self.heartbeat:g} s), "
                "because otherwise one late heartbeat would lose a job; raise LEASE or lower HEARTBEAT."
            )
        if self.progress_broadcast and not self.project:
            raise ConfigError("PROGRESS_BROADCAST needs SUPABASE_URL and SUPABASE_SERVICE_KEY; set both.")
        if self.supabase_service_key and _is_public(self.supabase_service_key.get_secret_value()):
            raise ConfigError(
                "SUPABASE_SERVICE_KEY is the public key; set it to the service_role or secret key."
            )
        return self

    @property
    def project(self) -> tuple[str, str] | None:
        """Address and service key of the Supabase project, if both are set."""
        if self.supabase_url and self.supabase_service_key:
            return self.supabase_url, self.supabase_service_key.get_secret_value()
        return None

    def require_database(self) -> None:
        """Check that a database is configured.

        Raises:
            ConfigError: neither DATABASE_URL nor SUPABASE_URL with the service key is set.
        """
        if self.database_url or self.project:
            return
        if self.supabase_anon_key and not self.supabase_service_key:
            problem = "The anon key alone is not enough, because row-level security hides the jobs from it"
        elif self.supabase_service_key:
            problem = "SUPABASE_SERVICE_KEY is set, but SUPABASE_URL is not"
        else:
            problem = "No database is configured"
        raise ConfigError(f"{problem}; set DATABASE_URL, or SUPABASE_URL and SUPABASE_SERVICE_KEY.")

    @property
    def trusted_hosts(self) -> list[str]:
        """Hosts from which media may be fetched with any address: MEDIA_HOSTS and the host of SUPABASE_URL."""
        return [*self.media_hosts, *([urlsplit(self.supabase_url).netloc] if self.supabase_url else [])]

    @property
    def bind_port(self) -> int:
        """The port to listen on; 0 is any free one."""
        return self.health_check_port if self.port is None else self.port

    @property
    def bind_host(self) -> str:
        """The IP address to listen on."""
        if self.host is None:
            return "127.0.0.1" if self.port is None else "0.0.0.0"  # noqa: S104 - hosts that set PORT route to it
        return "127.0.0.1" if self.host == "localhost" else self.host

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the service, directly or by a proxy."""
        return ipaddress.ip_address(self.bind_host).is_loopback

    @property
    def trusts_own_machine(self) -> bool:
        """Whether callers on this machine need no token. A token or a public address suggests that a proxy is there."""
        return self.is_loopback and self.api_token is None and self.public_url is None


def _is_public(key: str) -> bool:
    """Return whether this is an anon or publishable key, by its prefix or the role in its payload."""
    if key.startswith("sb_publishable_"):
        return True
    try:
        payload = key.split(".")[1]
        return bool(
            json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["role"] == "anon"
        )
    except (IndexError, KeyError, TypeError, ValueError):
        return False
