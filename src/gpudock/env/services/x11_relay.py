"""python -m gpudock.env.services.x11_relay SOCKET PORT: gives a display on this machine's loopback a socket.

It ends when nobody listens on the port any more: when the ssh session that forwards it is over.
"""

import contextlib
import os
import socket
import sys
import threading

_LOOK = 5.0  # seconds between looks whether the display is still there
_CHUNK = 1 << 16


def serve(path: str, port: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX) as listening:
        before = os.umask(0)
        listening.bind(path)  # open to the container's user; what counts is the cookie
        os.umask(before)
        listening.listen(16)
        listening.settimeout(_LOOK)
        while _there(port):
            with contextlib.suppress(TimeoutError):
                client, _ = listening.accept()
                threading.Thread(target=_relay, args=(client, port), daemon=True).start()


def _there(port: int) -> bool:
    """Without connecting: each connection would travel to the far display."""
    wanted = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table, encoding="ascii") as file:
            for line in file:
                words = line.split()
                if len(words) > 3 and words[1].endswith(wanted) and words[3] == "0A":
                    return True
    return False


def _relay(client: socket.socket, port: int) -> None:
    with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as display:
        back = threading.Thread(target=_copy, args=(display, client), daemon=True)
        back.start()
        _copy(client, display)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
