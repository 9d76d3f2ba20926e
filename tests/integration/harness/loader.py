"""Many small requests quickly: a few connections, each with a pipeline."""
import json
import socket
import threading


def request(method, path, document=None):
    body = b"" if document is None else json.dumps(document).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n"
    return (head + ("Content-Type: application/json\r\n\r\n" if body else "\r\n")).encode() + body


def _pipeline(address, requests, depth, refused):
    status, keep = b"HTTP/1.1 ", 11
    with socket.create_connection(address, 60) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(requests), depth):
            some = requests[at:at + depth]
            raw.sendall(b"".join(some))
            got, tail = 0, b""
            while got < len(some):
                piece = raw.recv(1 << 18)
                if not piece:
                    raise ConnectionError(f"closed after {at + got} answers")
                data = tail + piece
                place = data.find(status)
                end = 0
                while place >= 0 and place + len(status) < len(data):
                    got += 1
                    if data[place + len(status):place + len(status) + 1] != b"2":
                        refused.append(data[place:place + 400])
                    end = place + len(status) + 1
                    place = data.find(status, end)
                tail = data[max(end, len(data) - keep):]


def send_all(address, requests, connections=32, depth=16):
    """Every request is answered 2xx, or this fails with the first that was not."""
    refused, failed, threads = [], [], []

    def run(share):
        try:
            _pipeline(address, share, depth, refused)
        except OSError as why:
            failed.append(why)

    for i in range(connections):
        share = requests[i::connections]
        if share:
            threads.append(threading.Thread(target=run, args=(share,)))
            threads[-1].start()
    for one in threads:
        one.join()
    if failed:
        raise failed[0]
    assert not refused, f"{len(refused)} of {len(requests)} were refused, the first: {refused[0]!r}"
