#!/usr/bin/env python3
"""A small billing service for the demo: it keeps invoices, is slow at charging, and fails the first receipt.

usage: billing.py PORT LEDGER

Every request that changes something is appended to LEDGER as a JSON line, with its Idempotency-Key. A repeated key is
answered from memory and changes nothing, as a payment provider does it.
"""
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHARGE_SECONDS = 2.0
lock = threading.Lock()
answers = {}
receipts_refused = set()
ledger_path = sys.argv[2]


def note(kind, invoice, key, repeated):
    with open(ledger_path, "a", encoding="utf-8") as ledger:
        ledger.write(json.dumps({"kind": kind, "invoice": invoice, "key": key, "repeated": repeated}) + "\n")
        ledger.flush()
        os.fsync(ledger.fileno())


class Billing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, document, headers=()):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass  # the caller was killed: it will ask again

    def invoice(self):
        parts = self.path.split("?")[0].strip("/").split("/")
        return parts[1] if len(parts) > 1 and parts[0] == "invoices" else None

    def do_GET(self):
        invoice = self.invoice()
        if invoice is None:
            return self.answer(404, {"error": "no such path"})
        return self.answer(200, {"id": invoice, "amount": 4200, "currency": "EUR", "status": "open"})

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        invoice, action = self.invoice(), self.path.rsplit("/", 1)[-1]
        key = self.headers.get("Idempotency-Key", "")
        if action == "charge":
            with lock:
                first = key not in answers
                answers.setdefault(key, {"invoice": invoice, "status": "paid"})
            note("charge", invoice, key, not first)
            time.sleep(CHARGE_SECONDS if first else 0.1)
            return self.answer(200, answers[key])
        if action == "receipt":
            with lock:
                refuse = invoice not in receipts_refused
                receipts_refused.add(invoice)
            if refuse:
                return self.answer(429, {"error": "too many letters, try again"}, [("Retry-After", "3")])
            note("receipt", invoice, key, False)
            return self.answer(200, {"invoice": invoice, "receipt": "sent"})
        return self.answer(404, {"error": "no such path"})


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Billing).serve_forever()
