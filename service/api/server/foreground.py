"""The service in the foreground of a process: logs what it serves, and ends on a signal."""

from __future__ import annotations

import logging
import os

from vitreid.service.api.logs import configure_logging, log_what_is_not_caught
from vitreid.service.api.server.serving import address_of, bound_socket, check_address, serve_until_stopped
from vitreid.service.api.state import Service
from vitreid.service.config import ServiceConfig, unknown_variables
from vitreid.service.models.bundle_choice import NOTICE

logger = logging.getLogger("vitreid")


def serve(config: ServiceConfig) -> None:
    """Serve until SIGINT or SIGTERM. The port is bound first, so that a port in use is reported at once.

    Raises NotLoopback, KeyRequired, PortInUse, and the errors of opening the model and the default gallery.
    """
    check_address(config)
    configure_logging(config.log_level, config.log_format)
    log_what_is_not_caught()
    for line in unknown_variables(os.environ):
        logger.warning("%s", line)
    with bound_socket(config.host, config.port) as listener:
        address = address_of(listener)

        def log_ready(service: Service) -> None:
            if service.starter:
                logger.warning(NOTICE)
            sizes = ", ".join(f"{name} ({len(each):,})" for name, each in service.galleries.opened().items())
            message = "serving %s at %s (page /, API /docs); Ctrl-C ends it"
            logger.info(message, sizes, address, extra={"fields": {"address": address}})

        ended = serve_until_stopped(config, listener, log_ready)
    logger.info("stopped")
    if not ended:
        # Native code that loads a model or an index cannot be interrupted, and must not outlive the interpreter.
        os._exit(0)
