"""The application behind a test client."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.testclient import TestClient

from vitreid.service.api.state import Service


def application_of(client: TestClient) -> FastAPI:
    """The application under test."""
    assert isinstance(client.app, FastAPI)  # to the client it is any ASGI app
    return client.app


def service_of(client: TestClient) -> Service:
    """Its service, which is open."""
    service: Service = application_of(client).state.service
    return service
