"""The server of the page, on this machine's own address."""

import socket
from functools import partial
from pathlib import Path

from nicegui import app, ui
from starlette.formparsers import MultiPartParser

from facerec.console import log
from facerec.errors import InputError
from facerec.recognise.recogniser import Recogniser
from facerec.recognise.trial.local_only import HOSTS, LocalOnly
from facerec.recognise.trial.photo_card import MOST_BYTES
from facerec.recognise.trial.trial_page import trial_page
from facerec.recognise.trial.worker import Worker

_FORM_BYTES = 1 << 16  # that come with the photograph in a request
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#1f5fa8"/>'
    '<rect x="3" y="4" width="6" height="8" rx="1" fill="none" stroke="#fff"/>'
    '<rect x="7" y="4" width="6" height="8" rx="1" fill="none" stroke="#fff"/></svg>'
)


def serve(recogniser: Recogniser, gallery: Path | None, port: int, shows: bool) -> None:
    """Serve the page until the process is interrupted.

    Args:
        recogniser: finds and compares the faces.
        gallery: the file of the people; None if nobody is enrolled.
        port: of this machine's own address, 127.0.0.1.
        shows: whether the page is opened in the browser.

    Raises:
        InputError: the port is taken.
    """
    _refuse_taken(port)
    # No photograph is written to the disk, as larger parts of a request otherwise are.
    MultiPartParser.spool_max_size = MOST_BYTES + _FORM_BYTES
    app.add_middleware(LocalOnly, most_bytes=MOST_BYTES + _FORM_BYTES)
    app.on_startup(lambda: log(f"the page is at http://{HOSTS[0]}:{port}; Ctrl-C ends it"))
    ui.run(
        partial(trial_page, recogniser, gallery, Worker()),
        **{"host": HOSTS[0], "port": port, "title": "facerec", "favicon": _ICON, "language": "en-US"},
        **{"show": shows, "reload": False, "tailwind": False, "show_welcome_message": False},
        **{"uvicorn_logging_level": "error", "timeout_graceful_shutdown": 2},
    )


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOSTS[0], port))
        except OSError as error:
            raise InputError(f"port={port} cannot be used ({error.strerror}): give another one") from error
