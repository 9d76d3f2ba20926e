"""A small HTTP client: one kept-alive connection per thread and origin."""
import http.client
import json
import threading
import urllib.parse


class Unreachable(Exception):
    """No complete answer: whether the request was taken is not known."""


def connection_to(address, timeout, tls=None):
    """`address`: (host, port); with a `connect` of its own (harness/network.py) when it is not on this machine's network."""
    made = (http.client.HTTPConnection(*address, timeout=timeout) if tls is None else
            http.client.HTTPSConnection(*address, timeout=timeout, context=tls))
    if hasattr(address, "connect"):
        made._create_connection = address.connect  # pylint: disable=protected-access
    return made


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # case-insensitive, as http.client gives them
        self.body = body

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The problem's code, or None."""
        if self.headers.get("Content-Type", "").startswith("application/problem+json"):
            return self.json().get("code")
        return None

    def __repr__(self):
        return f"<{self.status} {self.body[:400]!r}>"


def quote(part):
    return urllib.parse.quote(part, safe="")


def agent_path(agent, below=""):
    agent_type, key = agent.split("/", 1)
    return f"/v1/agents/{quote(agent_type)}/{quote(key)}{below}"


class Client:
    """`where()` gives the address (host, port), or None while there is none. `tls`: an ssl.SSLContext. `token`: an API key
    that every request carries."""

    def __init__(self, where, timeout=30.0, tls=None, token=None):
        self._where = where if callable(where) else (lambda: where)
        self._timeout = timeout
        self._tls = tls
        self._token = token
        self._kept = threading.local()

    def close(self):
        connection = getattr(self._kept, "connection", None)
        if connection is not None:
            connection.close()
        self._kept.connection = None

    def _connect(self):
        address = self._where()
        if address is None:
            raise Unreachable("the node is down")
        connection = getattr(self._kept, "connection", None)
        if connection is None or self._kept.address != address:
            self.close()
            connection = connection_to(address, self._timeout, self._tls)
            self._kept.connection, self._kept.address, self._kept.used = connection, address, False
        return connection

    def request(self, method, path, body=None, headers=None, timeout=None):
        """`body`: bytes as they are; anything else as JSON. Raises Unreachable."""
        headers = dict(headers or {})
        if self._token is not None:
            headers.setdefault("Authorization", "Bearer " + self._token)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        while True:
            connection = self._connect()
            fresh = not self._kept.used
            try:
                if connection.sock is None:
                    connection.connect()
                connection.sock.settimeout(timeout or self._timeout)
                connection.request(method, path, body=body, headers=headers)
                response = connection.getresponse()
                self._kept.used = True
                answer = Answer(response.status, response.headers, response.read())
                if response.will_close:
                    self.close()
                return answer
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as why:
                self.close()
                if fresh or method != "GET":
                    raise Unreachable(str(why)) from why
            except (OSError, http.client.HTTPException) as why:
                self.close()
                raise Unreachable(f"{type(why).__name__}: {why}") from why

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.request("POST", path, body, **more)

    def document(self, path, status=200, **more):
        answer = self.get(path, **more)
        assert answer.status == status, f"GET {path}: {answer!r}"
        return answer.json()

    def items(self, path, limit=500, **more):
        """Every item of a list, page by page."""
        out, cursor = [], None
        while True:
            page = path + ("&" if "?" in path else "?") + f"limit={limit}"
            if cursor is not None:
                page += "&cursor=" + quote(cursor)
            document = self.document(page, **more)
            out += document["items"]
            cursor = document["next"]
            if cursor is None:
                return out
