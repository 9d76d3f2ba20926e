#!/usr/bin/env python3
"""Shows an agent that survives being killed.

usage: demo.py BINARY [--keep]

Starts a node and a small billing service, sends a signed webhook, follows the run, kills the node with kill -9 in the
middle of a charge, starts it again, and checks from outside that every charge happened once.
"""
import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
LIMIT_SECONDS = 60


def tint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def say(text):
    print(tint("1;36", f"\n── {text}"), flush=True)


def fail(text):
    print(tint("1;31", f"demo failed: {text}"), file=sys.stderr, flush=True)
    sys.exit(1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, condition, seconds=LIMIT_SECONDS):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    fail(f"waited {seconds} s for {what}")


class Demo:
    def __init__(self, binary):
        self.binary = os.path.abspath(binary)
        self.folder = tempfile.mkdtemp(prefix="holdfast-demo-")
        self.port, self.billing_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ledger = os.path.join(self.folder, "ledger.jsonl")
        open(self.ledger, "w").close()
        self.secret = os.urandom(16).hex()
        self.environment = dict(os.environ, HOLDFAST_SERVER=self.url, HOLDFAST_SECRET_BILLING="demo-token",
                                HOLDFAST_SECRET_BILLING_HOOK=self.secret)
        self.node = None
        self.billing = None

    # ---- processes
    def prepare(self):
        self.definitions = os.path.join(self.folder, "agents")
        os.mkdir(self.definitions)
        for name in ("payment-recovery.yaml", "hook.yaml", "script.yaml", "node.yaml"):
            with open(os.path.join(HERE, name), encoding="utf-8") as source:
                text = source.read().replace("127.0.0.1:9100", f"127.0.0.1:{self.billing_port}")
            if name == "node.yaml" and os.environ.get("HOLDFAST_DEMO_OPENAI_URL"):
                text = ("models:\n  primary: { provider: openai, base_url: " + json.dumps(os.environ["HOLDFAST_DEMO_OPENAI_URL"])
                        + ", model: " + json.dumps(os.environ.get("HOLDFAST_DEMO_OPENAI_MODEL", "gpt-4.1-mini"))
                        + ', api_key: "${secret:openai}", price: { input: "0.40", output: "1.60" } }\n')
                self.environment["HOLDFAST_SECRET_OPENAI"] = os.environ.get("HOLDFAST_DEMO_OPENAI_KEY", "none")
            with open(os.path.join(self.definitions, name), "w", encoding="utf-8") as target:
                target.write(text)

    def start_billing(self):
        self.billing = subprocess.Popen([sys.executable, os.path.join(HERE, "billing.py"), str(self.billing_port), self.ledger])
        wait_for("the billing service", lambda: self.answers(f"http://127.0.0.1:{self.billing_port}/invoices/none"))

    def start_node(self):
        began = time.monotonic()
        log = open(os.path.join(self.folder, "node.log"), "ab")
        self.node = subprocess.Popen([self.binary, "dev", self.definitions, "--data", os.path.join(self.folder, "data"),
                                      "--listen", f"127.0.0.1:{self.port}"],
                                     env=self.environment, stderr=log, stdout=log)
        wait_for("the node", lambda: self.node.poll() is None and self.answers(self.url + "/v1/types/payment-recovery")
                 or self.node.poll() is not None)
        if self.node.poll() is not None:
            with open(log.name, encoding="utf-8") as text:
                fail("the node did not start:\n" + text.read())
        print(f"   ready after {time.monotonic() - began:.2f} s at {self.url}")

    def stop(self):
        for process in (self.node, self.billing):
            if process and process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()

    # ---- talking to the node
    def answers(self, url):
        try:
            urllib.request.urlopen(url, timeout=2).read()
            return True
        except urllib.error.HTTPError as error:
            return error.code == 404 and "9" in url and "/invoices/" in url
        except OSError:
            return False

    def get(self, path):
        try:
            return json.load(urllib.request.urlopen(self.url + path, timeout=5))
        except OSError:
            return None

    def cli(self, *arguments):
        shown = " ".join(arguments)
        print(tint("2", f"   $ holdfast {shown}"), flush=True)
        done = subprocess.run([self.binary, *arguments], env=self.environment, capture_output=True, text=True, timeout=30)
        for line in (done.stdout + done.stderr).rstrip().splitlines():
            print("   " + line)
        return done

    def send_webhook(self, customer, invoice):
        body = json.dumps({"id": f"evt-{invoice}", "type": "billing.invoice.payment_failed", "customer": customer,
                           "invoice": invoice, "amount": 4200, "reason": "card expired"}).encode()
        signature = "sha256=" + hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        request = urllib.request.Request(self.url + "/v1/hooks/billing", body,
                                         {"Content-Type": "application/json", "X-Signature": signature})
        answer = urllib.request.urlopen(request, timeout=10)
        return answer.status, json.load(answer)

    def charges(self):
        with open(self.ledger, encoding="utf-8") as ledger:
            return [json.loads(line) for line in ledger if line.strip()]

    # ---- the story
    def follow(self, run):
        """Prints the run's stream as it comes, through the restart, in a thread of its own."""
        self.stream = subprocess.Popen([self.binary, "run", "stream", run, "-o", "json"], env=self.environment,
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.seen = []
        began = time.monotonic()

        def read():
            at_text = False
            for line in self.stream.stdout:
                event = json.loads(line)
                kind = event.get("event") or event.get("type")
                data = event.get("data", event)
                self.seen.append(kind)
                stamp = tint("2", f"   {time.monotonic() - began:5.2f}s ")
                if kind == "text.delta":
                    if not at_text:
                        print(stamp + "“", end="")
                    print(data.get("text", ""), end="", flush=True)
                    at_text = True
                    continue
                if at_text:
                    print("”")
                    at_text = False
                if kind == "tool.called":
                    print(stamp + tint("33", f"→ {data.get('name')} {json.dumps(data.get('input'))}"), flush=True)
                elif kind == "tool.result":
                    print(stamp + tint("32", f"← {data.get('status')} {json.dumps(data.get('output', data.get('error')))}"), flush=True)
                elif kind in ("run.completed", "run.failed", "run.cancelled"):
                    print(stamp + tint("1;32" if kind == "run.completed" else "1;31", f"{kind} {json.dumps(data.get('usage'))}"), flush=True)
                elif kind in ("run.waiting", "step.rewound"):
                    print(stamp + tint("35", kind + " " + json.dumps(data.get("cause", ""))), flush=True)

        self.reader = threading.Thread(target=read, daemon=True)
        self.reader.start()

    def tell(self, keep):
        say("a billing service and a node start")
        self.prepare()
        self.start_billing()
        self.start_node()

        say("a payment fails: the billing service sends a signed webhook")
        status, answer = self.send_webhook("cus_42", "inv_7")
        print(f"   POST /v1/hooks/billing → {status} {json.dumps(answer)}")
        agent = "payment-recovery/cus_42"
        runs = wait_for("the run", lambda: (self.get(f"/v1/runs?agent={agent.replace('/', '%2F')}") or {}).get("items"))
        run = runs[0]["run_id"]

        say(f"the agent {agent} works; this is its stream")
        self.follow(run)
        wait_for("the charge", lambda: any(one["kind"] == "charge" for one in self.charges()))

        say("kill -9, while the charge is under way")
        os.kill(self.node.pid, signal.SIGKILL)
        self.node.wait()
        time.sleep(0.5)
        print("   the node is dead; the billing service has taken the charge, nobody has heard its answer")
        self.start_node()
        print("   the stream goes on where it stopped")

        wait_for("the receipt to be refused", lambda: self.waits(agent))
        say("why does the agent wait?")
        why = self.cli("agent", "why", agent)
        if why.returncode != 0 or "retry" not in why.stdout:
            fail("`why` did not name the retry")

        wait_for("the end of the run", lambda: (self.get(f"/v1/runs/{run}") or {}).get("ended_at"))
        self.reader.join(5)
        self.stream.terminate()
        document = self.get(f"/v1/runs/{run}")
        if document["status"] != "completed":
            fail(f"the run ended as {document['status']}: {document.get('error')}")

        say("what happened, and what it cost")
        self.cli("run", "history", run)
        print(f"   cost: {document['usage']['usd']} USD, {document['usage']['input_tokens']} + "
              f"{document['usage']['output_tokens']} tokens in {document['usage']['model_calls']} model calls")

        say("the same webhook again: a repeat sets off nothing")
        status, answer = self.send_webhook("cus_42", "inv_7")
        print(f"   POST /v1/hooks/billing → {status}")
        self.check(status)
        if keep:
            self.invite(agent, run)

    def waits(self, agent):
        document = self.get("/v1/agents/" + agent) or {}
        return (document.get("cause") or {}).get("kind") == "retry"

    def check(self, repeat_status):
        say("the books of the billing service")
        entries = self.charges()
        for one in entries:
            print(f"   {one['kind']:8} {one['invoice']}  key {one['key']}" + ("  (repeated: answered from memory)" if one["repeated"] else ""))
        charges = [one for one in entries if one["kind"] == "charge"]
        receipts = [one for one in entries if one["kind"] == "receipt"]
        if len([one for one in charges if not one["repeated"]]) != 1 or len({one["key"] for one in charges}) != 1:
            fail("the invoice was not charged exactly once")
        if len(receipts) != 1:
            fail("the receipt was not sent exactly once")
        if repeat_status != 200:
            fail("the repeated webhook was not recognised")
        print(tint("1;32", "   charged once, one receipt, nothing lost, through a kill -9"))

    def invite(self, agent, run):
        say("the node stays up; try")
        print(f"   export HOLDFAST_SERVER={self.url}")
        for line in (f"agent describe {agent}", f"agent state {agent}", f"run stream {run}", "agent list", "type list", "doctor"):
            print(f"   {self.binary} {line}")
        print(f"   curl -sS {self.url}/v1/agents/{agent}/history\n   Ctrl-C ends it", flush=True)
        try:
            self.node.wait()
        except KeyboardInterrupt:
            pass


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 2
    demo = Demo(sys.argv[1])
    began = time.monotonic()
    try:
        demo.tell("--keep" in sys.argv[2:])
    finally:
        demo.stop()
        shutil.rmtree(demo.folder, ignore_errors=True)
    print(tint("2", f"\n   {time.monotonic() - began:.1f} s in all"))
    return 0


sys.exit(main())
