"""Settings: from variables and options, each wrong one named."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.main import get_command

from vitreid import cli
from vitreid.service.config import OPTIONS, ServiceConfig, SettingsError, config_lines, load_config, names_of


def test_variables_are_read_when_an_instance_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITREID_PORT", "9000")
    monkeypatch.setenv("VITREID_DATA", "/somewhere")
    monkeypatch.setenv("VITREID_BUNDLE", "")
    config = load_config()
    assert (config.port, config.data, config.bundle) == (9000, Path("/somewhere"), None)
    assert load_config(port=1, data=None).port == 1


@pytest.mark.parametrize(("host", "loopback"), [
    ("127.0.0.1", True), ("127.1.2.3", True), ("localhost", True), ("::1", True), ("[::1]", True),
    ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("example.com", False),
])  # fmt: skip
def test_loopback(host: str, loopback: bool) -> None:
    assert load_config(host=host).loopback is loopback


@pytest.mark.parametrize(("name", "value"), [
    ("port", "70000"), ("threads", "0"), ("log_level", "loud"), ("port", "80_00"), ("workers", " 4"),
    ("workers", "4.0"), ("threads", "٤"), ("deadline_s", "1_0"), ("deadline_s", "inf"), ("deadline_s", "nan"),
])  # fmt: skip
def test_a_wrong_setting_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"VITREID_{name.upper()}", value)
    with pytest.raises(SettingsError) as caught:
        load_config()
    message = str(caught.value)
    assert f"VITREID_{name.upper()}" in message
    assert value in message
    assert "\n" not in message


def test_every_setting_is_shown_with_its_meaning() -> None:
    lines = config_lines(load_config(port=8123))
    assert len(lines) == len(ServiceConfig.model_fields)
    assert any(line.startswith("VITREID_PORT=8123 ") for line in lines)
    assert all(len(line.split("  # ")[1]) > 5 for line in lines)


def test_an_error_names_only_options_that_there_are() -> None:
    options = {parameter.name for parameter in get_command(cli.app_of("serve")).params}
    for name, field in ServiceConfig.model_fields.items():
        if field.annotation in (str, Path) or name in ("bundle", "precision"):
            continue  # takes nearly any text
        with pytest.raises(SettingsError) as caught:
            load_config(**{name: "?"})
        assert f"VITREID_{name.upper()}" in str(caught.value)
        assert ("(or --" in str(caught.value)) is (name in options)
        assert "Value error" not in str(caught.value)
    assert set(OPTIONS) <= options


@pytest.mark.parametrize("value", ["HTTPS://A.Example:443", "https://a.example.", "https://a.example"])
def test_an_origin_is_compared_as_browsers_write_it(value: str) -> None:
    assert load_config(cors_origins=f"{value}, http://[::1]:3000").origins == ["https://a.example", "http://[::1]:3000"]


def test_other_sites_are_named_by_origin() -> None:
    config = load_config(cors_origins="https://a.example, http://127.0.0.1:8080,http://[::1]:3000")
    assert names_of(config.cors_origins) == ["https://a.example", "http://127.0.0.1:8080", "http://[::1]:3000"]
    assert names_of(load_config().cors_origins) == []


@pytest.mark.parametrize("value", ["*", "https://*.example", "null", "a.example", "https://a.example/", "https://a b"])
def test_what_is_no_origin_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="VITREID_CORS_ORIGINS") as caught:
        load_config(cors_origins=value)
    assert "is not an origin like https://a.example" in str(caught.value)
