"""Settings of the service: `VITREID_*` variables, overridden by options of the commands."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from vitreid.bundle.preprocess import MAX_DECODING_PIXELS, MAX_PIXELS
from vitreid.service.errors import ServiceError
from vitreid.service.models.runtimes.protocol import RuntimeChoice
from vitreid.service.values.addresses import host_of, is_loopback, origin_of, origin_text
from vitreid.service.values.fields import in_digits
from vitreid.service.values.messages import shown
from vitreid.service.values.texts import DEFAULT_GALLERY

GALLERIES = "galleries"  # in a data folder, the one of all galleries
PREFIX = "VITREID_"
OPTIONS = ("data", "bundle", "host", "port", "insecure", "threads")
"""Settings that commands have an option for, too."""
OWN_PATHS = ("v1", "web", "docs", "openapi.json", "healthz", "readyz", "metrics")


class SettingsError(ServiceError):
    """A setting has an invalid value."""

    slug = "bad-setting"


def names_of(value: str) -> list[str]:
    """Return the parts of a comma-separated text."""
    return [part.strip() for part in value.split(",") if part.strip()]


def _check_origins(value: str) -> str:
    for origin in names_of(value):
        if origin_of(origin) is None:
            raise ValueError(f"{origin!r} is not an origin like https://a.example or http://127.0.0.1:8080")
    return value


def _check_hosts(value: str) -> str:
    for host in names_of(value):
        if host_of(host) is None:
            raise ValueError(f"{host!r} is not a host like vitreid.example or 192.168.1.20, without scheme and port")
    return value


def _check_proxies(value: str) -> str:
    for proxy in names_of(value):
        try:
            ipaddress.ip_network(proxy)
        except ValueError as error:
            raise ValueError(f"{proxy!r} is not an address or network like 127.0.0.1 or 10.0.0.0/8") from error
    return value


def _check_root_path(value: str) -> str:
    if value and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", value):
        raise ValueError(f"{value!r} is not a path like /vitreid, which begins with a slash and does not end with one")
    if value.split("/")[1:2] in ([each] for each in OWN_PATHS):
        raise ValueError(f"{value!r} begins like a path of the service itself ({', '.join(OWN_PATHS)})")
    return value


Origins = Annotated[str, AfterValidator(_check_origins)]
Hosts = Annotated[str, AfterValidator(_check_hosts)]
Proxies = Annotated[str, AfterValidator(_check_proxies)]
RootPath = Annotated[str, AfterValidator(_check_root_path)]


class ServiceConfig(BaseSettings):
    """The settings; each is read from the variable `VITREID_<NAME>` unless it is given.

    The environment is read when an instance is made, never at import.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True, allow_inf_nan=False
    )

    data: Path = Field(Path("vitreid-data"), description="folder of the galleries, DATA/galleries/NAME")
    bundle: Path | None = Field(None, description="the model; the starter bundle when absent")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    insecure: bool = Field(False, description="allow addresses that other machines can reach, without API keys")
    rate_per_s: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="requests a second of one key, or one address without keys"
    )
    rate_burst: int = Field(100, ge=1, description="burst size of the rate limit")
    require_keys: bool = Field(
        False, description="refuse requests without an API key, and do not start before one exists"
    )
    allowed_hosts: Hosts = Field(
        "",
        description="host names of the service, as vitreid.example,vitreid; requests for others get 421",
    )
    trusted_proxies: Proxies = Field(
        "", description="proxies whose X-Forwarded-For and X-Forwarded-Proto count, as 127.0.0.1,10.0.0.0/8"
    )
    root_path: RootPath = Field("", description="prefix under which a proxy publishes the service, as /vitreid")
    cors_origins: Origins = Field(
        "", description="other sites whose pages may send requests, as https://a.example,https://b.example"
    )
    audit_days: int = Field(365, ge=1, le=36500, description="days after which a row of the audit log is deleted")
    audit_addresses: bool = Field(False, description="write the clients' addresses into the audit log")
    runtime: str = Field("onnx", description="runtime of the model: onnx, openvino or engine")
    provider: str = Field(
        "cpu", description="hardware: cpu, cuda, tensorrt; of several, as cuda,cpu, the first that is available"
    )
    precision: str | None = Field(
        None, description="number type of the computation, as bf16; that of the bundle when absent"
    )
    index: str = Field("auto", description="index of a gallery; auto: by its size")
    threads: int | None = Field(None, ge=1, le=1024, description="cores one embedding run uses; all when absent")
    workers: int = Field(8, ge=1, le=256, description="requests decoded and answered at a time; others wait")
    max_body_bytes: int = Field(32 * 2**20, ge=1024, description="bytes of one request")
    max_json_bytes: int = Field(256 * 2**10, ge=1024, description="bytes of one JSON body")
    max_images: int = Field(64, ge=1, le=1000, description="images of one POST /v1/items")
    max_pixels: int = Field(MAX_PIXELS, ge=64, description="pixels of one image, read from its header")
    max_decoding_pixels: int = Field(
        MAX_DECODING_PIXELS, ge=64, description="pixels of all images that are decoded at a time; others wait"
    )
    max_batch: int = Field(4, ge=1, le=1024, description="images of one run of the model; more help on a GPU only")
    max_queue: int = Field(256, ge=1, description="images that may wait for the model; more are refused with 503")
    purge_after_s: float = Field(
        60, ge=0, le=86_400, description="seconds from a deletion until its traces in the files are purged"
    )
    max_requests: int = Field(512, ge=1, description="requests in flight at a time; more are refused with 503")
    max_connections: int = Field(
        1000, ge=1, description="connections at a time, and no more than half of the open files that the system allows"
    )
    max_body_memory: int = Field(
        256 * 2**20, ge=1024, description="bytes of all bodies that are held at a time; more are refused with 503"
    )
    receive_s: float = Field(
        60, gt=0, le=3600, description="seconds within which a request arrives, from its first byte to its last"
    )
    send_s: float = Field(
        30, gt=0, le=3600, description="seconds that a client may take longer than at 16 KiB/s to read an answer"
    )
    deadline_s: float = Field(
        30, gt=0, le=3600, description="seconds within which an answer begins, after the last byte of the request"
    )
    keep_alive_s: int = Field(
        75, ge=1, le=3600, description="seconds after which an idle connection is closed; more than in a proxy"
    )
    drain_s: int = Field(10, ge=0, le=600, description="seconds for open requests when the service stops")
    log_level: Literal["critical", "error", "warning", "info", "debug"] = Field(
        "info", description="minimum level that is logged"
    )
    log_format: Literal["json", "text"] | None = Field(
        None, description="format of the log; text on a terminal and json elsewhere when absent"
    )

    @field_validator("*", mode="before")
    @classmethod
    def _in_digits(cls, given: object, info: ValidationInfo) -> object:
        return in_digits(given, cls.model_fields[info.field_name or ""].annotation)

    @property
    def choice(self) -> RuntimeChoice:
        """The runtime of the model with its options."""
        return RuntimeChoice(
            runtime=self.runtime,
            providers=tuple(name.strip() for name in self.provider.split(",")),
            precision=self.precision,
            threads=self.threads,
            max_batch=self.max_batch,
            engines=self.data / "engines",
        )

    @property
    def galleries_folder(self) -> Path:
        """The folder of the galleries, each in a folder of its name."""
        return gallery_folder(self.data).parent

    @property
    def loopback(self) -> bool:
        """True if only programs of this machine can reach the service."""
        return is_loopback(self.host)

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts that are answered for besides the addresses of this machine: the named ones and the bound one."""
        return frozenset(filter(None, map(host_of, [*names_of(self.allowed_hosts), self.host])))

    @property
    def origins(self) -> list[str]:
        """The other sites, each as browsers write it: in lower case, and without the port that its scheme has."""
        return [origin_text(origin) for origin in map(origin_of, names_of(self.cors_origins)) if origin is not None]


def gallery_folder(data: Path, name: str = DEFAULT_GALLERY) -> Path:
    """Return the folder of the gallery of that name in a data folder."""
    return data / GALLERIES / name


def load_config(**given: Any) -> ServiceConfig:
    """Read the settings; given values that are not None override the environment.

    Raises SettingsError that names the setting, its value and what is allowed.
    """
    try:
        return ServiceConfig(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "setting"
        meaning = ServiceConfig.model_fields[name].description if name in ServiceConfig.model_fields else "unknown"
        setting = f"{PREFIX}{name.upper()}" + (f" (or --{name})" if name in OPTIONS else "")
        reason = str(first["msg"]).removeprefix("Value error, ")
        raise SettingsError(f"{setting} is {shown(first['input'])}: {reason} ({meaning})") from error


def unknown_variables(names: Iterable[str]) -> list[str]:
    """Return a line for each variable that begins with VITREID_ and is no setting, with the most similar setting."""
    settings = [PREFIX + name.upper() for name in ServiceConfig.model_fields]
    given = [name for name in sorted(names) if name.upper().startswith(PREFIX) and name.upper() not in settings]
    return [f"{name} is not a setting and has no effect; {_nearest(name.upper(), settings)}" for name in given]


def _nearest(name: str, settings: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, settings, 1)
    return f"did you mean {near[0]}?" if near else "`vitreid serve --show-config` lists the settings"


def config_lines(config: ServiceConfig) -> list[str]:
    """Return the settings as `VITREID_NAME=value  # meaning` lines, ready for a shell or an env file."""
    values = config.model_dump(mode="json")
    pairs = {name: "" if value is None else str(value) for name, value in values.items()}
    width = max(len(name) + len(value) for name, value in pairs.items()) + len(PREFIX) + 1
    return [
        f"{PREFIX + name.upper() + '=' + value:<{width}}  # {ServiceConfig.model_fields[name].description}"
        for name, value in pairs.items()
    ]
