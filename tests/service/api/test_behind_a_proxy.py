"""A real proxy that takes a prefix off: pages and description work under it, and only who is named is believed."""

from __future__ import annotations

import http.client
import json
import re
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest

from tests.paths import REPOSITORY
from tests.service.proxying import PREFIX, proxy, serve
from vitreid.service.access.audit import AuditFilter
from vitreid.service.api.server.serving import make_server
from vitreid.service.api.state import open_service
from vitreid.service.config import ServiceConfig, SettingsError, load_config


def get(address: str, **headers: str) -> tuple[int, bytes]:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("strips", [True, False])
def test_everything_that_the_pages_name_is_found_under_the_prefix(
    tmp_path: Path, tiny_bundle: Path, strips: bool
) -> None:
    with serve(tmp_path, tiny_bundle, root_path=PREFIX) as (_, port), proxy(port, strips=strips) as address:
        for page in (f"{address}/", f"{address}/docs"):
            status, content = get(page)
            assert status == 200
            named = re.findall(r'(?:href|src)="([^"#]+)"', content.decode())
            assert len(named) >= 5
            for each in named:
                assert get(urljoin(page, each))[0] == 200, each
        description = json.loads(get(f"{address}/openapi.json")[1])
        assert description["servers"][0]["url"] == PREFIX
        assert get(f"{address}/v1/info")[0] == 200
        assert get(f"{address}/v1/nothing")[0] == 404


@pytest.mark.parametrize(
    "given", ["vitreid", "/vitreid/", "/", "//vitreid", "/v1", "/web/x", "/vitre id", "/vitreid?x"]
)
def test_a_prefix_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match="VITREID_ROOT_PATH"):
        load_config(root_path=given)


@pytest.mark.parametrize("given", ["*", "proxy", "10.0.0.1/8", "127.0.0.1:80"])
def test_a_proxy_that_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match="VITREID_TRUSTED_PROXIES"):
        load_config(trusted_proxies=given)


@pytest.mark.parametrize(
    ("proxies", "seen"), [("", "127.0.0.1"), ("192.0.2.0/24", "127.0.0.1"), ("::1,127.0.0.0/8", "203.0.113.9")]
)
def test_only_named_proxies_say_who_the_client_is(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, proxies: str, seen: str
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # the server's own variable does not count
    with serve(tmp_path, tiny_bundle, trusted_proxies=proxies, audit_addresses=True) as (service, port):
        assert get(f"http://127.0.0.1:{port}/v1/items", **{"X-Forwarded-For": "203.0.113.9"})[0] == 200
        [row] = service.access.audit.page(AuditFilter())
    assert row.address == seen


@pytest.mark.parametrize(("proxies", "status"), [("", 403), ("127.0.0.1", 404)])
def test_only_named_proxies_say_that_it_was_https(tmp_path: Path, tiny_bundle: Path, proxies: str, status: int) -> None:
    with serve(tmp_path, tiny_bundle, trusted_proxies=proxies, allowed_hosts="vitreid.example") as (_, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {"Host": "vitreid.example", "Origin": "https://vitreid.example", "X-Forwarded-Proto": "https"}
        connection.request("DELETE", "/v1/items/1", headers=headers)
        assert connection.getresponse().status == status
        connection.close()


def test_a_proxy_drops_idle_connections_before_the_service_does(tmp_path: Path, tiny_bundle: Path) -> None:
    documented = (REPOSITORY / "docs" / "operations.md").read_text()
    configured = (REPOSITORY / "docker" / "nginx.conf").read_text()
    config = ServiceConfig(data=tmp_path, bundle=tiny_bundle, runtime="fake")
    with open_service(config) as service:
        kept_s = make_server(config, service).config.timeout_keep_alive
    for text in (documented, configured):
        idle_s = [int(found) for found in re.findall(r"keep_?alive(?:_timeout)? (\d+)s", text)]
        assert idle_s
        assert max(idle_s) < kept_s
        for line in ("proxy_http_version 1.1;", 'proxy_set_header Connection "";', "proxy_set_header Host $http_host;"):
            assert line in text
