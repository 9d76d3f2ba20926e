"""The base of the sink and the model: a threaded HTTP server that knows its connections and can misbehave."""
import select
import socket
import socketserver
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler

from .waiting import eventually


class Request:
    """One arrived request, and the ways to answer it."""

    def __init__(self, handler, body):
        self.handler = handler
        self.method = handler.command
        self.path = handler.path.split("?")[0]
        self.query = handler.path.partition("?")[2]
        self.headers = handler.headers
        self.body = body
        self.key = handler.headers.get("Idempotency-Key", "")

    def answer(self, status, body=b"", content_type="application/json", headers=()):
        handler = self.handler
        handler.send_response_only(status)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            handler.send_header(name, value)
        handler.end_headers()
        if self.method != "HEAD":
            handler.wfile.write(body)

    def begin(self, status=200, content_type="text/event-stream"):
        """A chunked answer; go on with `chunk`, end with `finish`."""
        handler = self.handler
        handler.send_response_only(status)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()

    def chunk(self, data):
        self.handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.handler.wfile.flush()

    def finish(self):
        self.handler.wfile.write(b"0\r\n\r\n")
        self.handler.wfile.flush()

    # ---- misbehaviour
    def hang(self):
        """Until the caller goes away or the server ends."""
        server = self.handler.server
        connection = self.handler.connection
        connection.settimeout(0.2)
        while not server.ending.is_set():
            try:
                if connection.recv(1) == b"":
                    break
            except socket.timeout:
                continue
            except OSError:
                break
        self.handler.close_connection = True

    def reset(self):
        """Ends the connection with RST, wherever it stands."""
        self.handler.wfile.flush()
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.handler.close_connection = True

    def drop_mid_body(self, status=200, promised=1000, given=b'{"half": "an ans', content_type="application/json"):
        handler = self.handler
        handler.send_response_only(status)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(promised))
        handler.end_headers()
        handler.wfile.write(given)
        self.reset()

    def raw(self, data):
        """Bytes that need not be HTTP."""
        self.handler.wfile.write(data)
        self.handler.wfile.flush()
        self.handler.close_connection = True


class _Connection:
    """What is known of one: whether its thread waits for a request, and how many it has dealt with."""

    def __init__(self, raw):
        self.raw = raw
        self.waiting = False
        self.served = 0

    def is_quiet(self):
        """Nothing has come that was not dealt with. The thread stops waiting before it reads."""
        before = self.served
        if not self.waiting:
            return False
        try:
            ready, _, _ = select.select([self.raw], [], [], 0)
        except (OSError, ValueError):
            return False  # it is being closed
        return not ready and self.waiting and self.served == before


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def handle_one_request(self):
        known = self.server.open.get(self.client_address)
        if known is None:
            return super().handle_one_request()
        known.waiting = True
        waits = select.poll()
        waits.register(self.connection, select.POLLIN)
        waits.poll()
        known.waiting = False
        super().handle_one_request()
        known.served += 1

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass  # the caller was killed

    def finish(self):
        try:
            super().finish()
        except OSError:
            pass

    def _serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) != length:
            self.close_connection = True
            return  # the caller died while it wrote: nothing was asked
        if self.path == "/-/barrier":
            return Request(self, body).answer(204)
        try:
            self.server.owner.serve(Request(self, body))
        except OSError:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve


class _Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, owner, port=0, listener=None):
        """`listener`: a socket that is bound already."""
        self.owner = owner
        self.ending = threading.Event()
        self.lock = threading.Lock()
        self.open = {}  # client → connection
        super().__init__(("127.0.0.1", port), _Handler, bind_and_activate=listener is None)
        if listener is not None:
            self.socket.close()
            self.socket = listener
            self.server_activate()

    def process_request(self, request, client_address):
        with self.lock:
            self.open[client_address] = _Connection(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self.lock:
                self.open.pop(client_address, None)

    def handle_error(self, request, client_address):
        pass


class Server:
    """Subclasses define `serve(request)`."""

    def __init__(self):
        self._tcp = _Tcp(self)
        self.port = self._tcp.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        self._everywhere = [(self._tcp, socket.create_connection)]  # and how to get there
        threading.Thread(target=self._tcp.serve_forever, args=(0.05,), daemon=True).start()

    def listen_in(self, namespace):
        """Under the same address in another network, too."""
        tcp = _Tcp(self, self.port, namespace.bound(("127.0.0.1", self.port)))
        self._everywhere.append((tcp, namespace.connect))
        threading.Thread(target=tcp.serve_forever, args=(0.05,), daemon=True).start()

    def serve(self, request):
        raise NotImplementedError

    def quiesce(self, seconds=20.0):
        """Call while the node is dead: returns when everything that it had sent has been looked at.

        Connections are accepted in order, so once this one is, so are all of the dead node; they end when what is
        left in them is read.
        """
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as mine:
            mine.sendall(b"GET /-/barrier HTTP/1.1\r\nHost: sink\r\n\r\n")
            mine.recv(1024)
            me = mine.getsockname()

            def only_me():
                with self._tcp.lock:
                    return self._tcp.open.keys() <= {me}

            eventually("the dead node's connections have ended", only_me, seconds, poll=0.002)

    def settle(self, seconds=20.0):
        """As `quiesce`, while other nodes live on: every request that had been sent when this was called is dealt with."""
        for tcp, connect in self._everywhere:
            self._settle(tcp, connect, seconds)

    def _settle(self, tcp, connect, seconds):
        with connect(("127.0.0.1", self.port), seconds) as mine:
            mine.sendall(b"GET /-/barrier HTTP/1.1\r\nHost: sink\r\n\r\n")
            mine.recv(1024)
            with tcp.lock:
                left = {client: (one, one.served) for client, one in tcp.open.items() if client != mine.getsockname()}

            def dealt_with():
                with tcp.lock:
                    known = set(tcp.open)
                for client, (one, served) in list(left.items()):
                    # A caller has one request under way on a connection, never a second.
                    if client not in known or one.served > served or one.is_quiet():
                        del left[client]
                return not left

            eventually(lambda: f"{len(left)} connections come to rest", dealt_with, seconds, poll=0.002)

    def connections(self):
        with self._tcp.lock:
            return len(self._tcp.open)

    def close(self):
        for tcp, _ in self._everywhere:
            tcp.ending.set()
            tcp.shutdown()
            tcp.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def pause(seconds):
    """A server that takes its time: this is behaviour, not synchronisation."""
    time.sleep(seconds)
