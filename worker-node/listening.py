"""The listening socket: bound before the server starts, so that port 0 becomes a number that can be announced."""

from __future__ import annotations

import os
import socket

_BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """Bind and listen. Raises OSError when the port is taken or the host is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sees TCP and switches Nagle's algorithm off: without, each answer waits 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
