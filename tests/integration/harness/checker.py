"""The checker: compares what was seen outside the node with what the node says after its last restart.

It knows four promises (DESIGN §1: P1, P2, P3/P4, P7) and nothing of the inside: acknowledgements that clients got, calls
that the sink and the model got, events that stream readers got, against the public HTTP interface.
"""
import json
from collections import Counter, defaultdict

from . import sse
from .client import Unreachable, agent_path, quote
from .shop import COUNTER, EFFECTS, LOOPS, STAGES, kind_of

PROMISES = ("acknowledged events lost", "events processed twice", "effects of class write performed twice",
            "idempotent calls repeated under another key", "finished model calls repeated",
            "finished tool calls repeated", "streams contradicted", "agents silently stuck", "runs gone wrong", "processes ended by themselves",
            "histories with gaps", "nodes that tell different things", "steps of two terms")


class Report:
    def __init__(self):
        self.broken = defaultdict(list)  # promise → what happened
        self.counts = Counter()
        self.lost = set()  # orders

    def break_promise(self, promise, what):
        assert promise in PROMISES, promise
        self.broken[promise].append(what)

    def total(self):
        return sum(len(one) for one in self.broken.values())

    def merge(self, other):
        for promise, found in other.broken.items():
            self.broken[promise] += found
        self.counts.update(other.counts)

    def lines(self):
        out = [f"  {count:7d}  {name}" for name, count in self.counts.items()]
        out += [f"  {len(self.broken[promise]):7d}  {promise}" for promise in PROMISES]
        for promise in PROMISES:
            out += [f"  BROKEN {promise}: {what}" for what in self.broken[promise][:5]]
        return out

    def __str__(self):
        return "\n".join(self.lines())


def check_calls(ledger, report, thawed=()):
    """Effects, by what the sink and the model saw. A call that comes after a later one of the same run was finished
    and is repeated: the later one was declared by the record that holds the outcome of the first.

    `thawed`: (from, to) of the moments right after a stopped process went on. What it was about to send when it was
    stopped leaves then, under its key: nothing can call it back."""
    keys = {}

    def was_under_way(one, first_key):
        return first_key == one.key and any(begin <= one.at <= end for begin, end in thawed)

    for order in ledger.orders():
        place = STAGES[kind_of(order)]
        entries = ledger.of(order)
        latest, latest_stage = -1, ""
        refused = set()
        key_of = {}
        for one in entries:
            if one.stage not in place:
                report.break_promise("runs gone wrong", f"{order}: call {one.number} is at stage {one.stage}, which it has not")
                continue
            at = place[one.stage]
            if at < latest and was_under_way(one, key_of.get(one.stage)):
                report.counts["calls that a stopped node had begun"] += 1
            elif at < latest:
                kind = "model" if one.kind == "model" else "tool"
                report.break_promise(f"finished {kind} calls repeated",
                                     f"{order}: {one.stage} (call {one.number}) after {latest_stage}")
            elif at > latest:
                latest, latest_stage = at, one.stage
            if one.kind == "end":
                continue
            report.counts[f"{one.kind} calls"] += 1
            if one.stage in refused:
                report.counts[f"{one.kind} calls made again after a refusal"] += 1
            elif one.stage in key_of:
                report.counts[f"{one.kind} calls made again after a crash"] += 1
            refused.discard(one.stage)
            if one.status not in (0, 200):
                refused.add(one.stage)
            first = key_of.setdefault(one.stage, one.key)
            if first != one.key and one.kind == "idempotent":
                report.break_promise("idempotent calls repeated under another key", f"{order}: {first} and {one.key}")
            if first != one.key and one.kind == "model":
                report.break_promise("finished model calls repeated",
                                     f"{order}: {one.stage} is asked with two conversations, an answer before it has changed")
            if one.kind in ("idempotent", "write"):
                if not one.key:
                    report.break_promise("idempotent calls repeated under another key", f"{order}: {one.stage} without a key")
                elif keys.setdefault(one.key, (order, one.stage)) != (order, one.stage):
                    report.break_promise("idempotent calls repeated under another key",
                                         f"{one.key} stands for {keys[one.key]} and {(order, one.stage)}")
        performed = sum(1 for one in entries if one.kind == "write" and one.performed)
        report.counts["writes performed"] += performed
        if performed > 1:
            report.break_promise("effects of class write performed twice", f"{order}: {performed} times")


def check_runs(client, ledger, acks, report):
    """Every acknowledged event is there, once, and its run came to its end."""
    by_agent = defaultdict(dict)
    for order, ack in acks.items():
        by_agent[ack["agent"]][order] = ack
    for agent, orders in by_agent.items():
        runs = {}
        known = client.get(f"/v1/runs?agent={quote(agent)}").status != 404
        for run in client.items(f"/v1/runs?agent={quote(agent)}") if known else ():
            if run["run_id"] in runs:
                report.break_promise("events processed twice", f"{agent}: {run['run_id']} is listed twice")
            runs[run["run_id"]] = run
        wanted = {ack["run_id"]: order for order, ack in orders.items()}
        for run_id in runs.keys() - wanted.keys():
            report.break_promise("events processed twice", f"{agent}: {run_id} belongs to no event that was sent")
        for run_id, order in wanted.items():
            report.counts["events acknowledged"] += 1
            run = runs.get(run_id)
            if run is None:
                report.lost.add(order)
                report.break_promise("acknowledged events lost", f"{order}: {agent} has no {run_id}")
                continue
            if run["event_ids"] != [orders[order]["event_id"]]:
                report.break_promise("events processed twice", f"{order}: {run_id} holds {run['event_ids']}")
            check_run(client, ledger, order, run, report)


def check_run(client, ledger, order, run, report):
    if run["status"] != "completed":
        report.break_promise("runs gone wrong", f"{order}: {run['run_id']} is {run['status']}: {run['error']}")
        return
    kind = kind_of(order)
    if kind == "e":
        good = run["output"] == {"order": order}
    elif kind in "sp":
        good = run["output"] in {one.detail["text"] for one in ledger.of(order) if one.kind == "model"}
    elif kind == "n":
        good = run["output"] == {"order": order, "done": "ship"}
    else:
        good = isinstance(run["output"], dict) and (run["output"].get("result") or {}).get("data") == {"order": order}
    if not good:
        report.break_promise("runs gone wrong", f"{order}: nobody gave it this output: {run['output']!r}")
    check_effects(client, order, run, EFFECTS[kind], report)


def check_effects(client, order, run, wanted, report):
    finished = Counter()
    for fact in client.items(f"/v1/runs/{run['run_id']}/history"):
        if fact["kind"] in ("model_completed", "tool_completed") or (
                fact["kind"] == "effect_reconciled" and fact["data"].get("resolved") == "succeeded"):
            finished[fact["data"].get("effect_no")] += 1
        report.counts["timers fired"] += fact["kind"] == "timer_fired"
    for effect, times in finished.items():
        if times != 1:
            report.break_promise("finished tool calls repeated", f"{order}: effect {effect} has {times} outcomes")
    if len(finished) != wanted:
        report.break_promise("runs gone wrong", f"{order}: {len(finished)} finished effects, not {wanted}")


def check_routed(client, ledger, routed, report):
    """Every agent that wants an acknowledged event has had it, once, and its run came to its end."""
    runs_of = {}
    for order, ack in routed.items():
        report.counts["routed events acknowledged"] += 1
        known = client.get(f"/v1/events/{ack['event_id']}")
        if known.status != 200:
            report.lost.add(order)
            report.break_promise("acknowledged events lost", f"{order}: {ack['event_id']}: {known!r}")
            continue
        told = {one["agent"]: one.get("run_id") for one in known.json()["routes"] if one["matched"]}
        if set(told) != set(ack["wanted"]):
            report.break_promise("acknowledged events lost", f"{order}: routed to {told}, wanted by {ack['wanted']}")
        for agent in ack["wanted"]:
            if agent not in runs_of:
                runs_of[agent] = defaultdict(list)
                for run in client.items(f"/v1/runs?agent={quote(agent)}"):
                    for event in run["event_ids"]:
                        runs_of[agent][event].append(run)
            runs = runs_of[agent].pop(ack["event_id"], [])
            report.counts["deliveries of routed events"] += len(runs)
            if len(runs) != 1:
                promise = "events processed twice" if runs else "acknowledged events lost"
                report.break_promise(promise, f"{order}: {agent} has {len(runs)} runs for {ack['event_id']}")
                continue
            check_routed_run(client, ledger, order, agent, runs[0], report)
    for agent, left in runs_of.items():
        for event, runs in left.items():
            report.break_promise("events processed twice", f"{agent}: {runs[0]['run_id']} is of {event}, which nobody sent")


def check_routed_run(client, ledger, order, agent, run, report):
    kind = agent.split("/")[0]
    good = {"echo": lambda out: out["order"] == order, "loop": lambda out: out == {"steps": LOOPS},
            "fulfilment": lambda out: out in {one.detail["text"] for one in ledger.of(order) if one.kind == "model"}}[kind]
    if run["status"] != "completed" or not good(run["output"]):
        report.break_promise("runs gone wrong", f"{order}: {agent}: {run['run_id']} is {run['status']}: {run['error']}, "
                                                f"{run['output']!r}")
        return
    check_effects(client, order, run, {"echo": 0, "loop": LOOPS, "fulfilment": EFFECTS["s"]}[kind], report)


def check_histories(clients, agents, report):
    """Every node tells the same history, which has no gap, and the same runs. `clients`: node → client."""
    for agent in sorted(agents):
        told = {}
        if any(client.get(agent_path(agent)).status == 404 for client in clients.values()):
            report.break_promise("acknowledged events lost", f"{agent} does not exist")
            continue
        for node, client in clients.items():
            facts = client.items(agent_path(agent, "/history"))
            seqs = [fact["seq"] for fact in facts]
            # Some facts of a model's conversation are not told: then the order is all that can be seen.
            whole = agent.startswith(("echo/", "loop/"))
            bad = [(before, seq) for before, seq in zip([0, *seqs], seqs) if seq <= before or (whole and seq != before + 1)]
            if bad:
                report.break_promise("histories with gaps", f"{agent} on {node}: {bad[0][1]} after {bad[0][0]}")
            told[node] = (facts, client.items(f"/v1/runs?agent={quote(agent)}"))
        report.counts["histories compared"] += 1
        report.counts["facts in them"] += max(len(facts) for facts, _ in told.values())
        first = next(iter(told))
        for node, one in told.items():
            if one != told[first]:
                what = "history" if one[0] != told[first][0] else "runs"
                report.break_promise("nodes that tell different things", f"{agent}: the {what} on {first} and on {node}")


def check_doctor(client, report):
    for one in client.document("/v1/doctor", timeout=60)["findings"]:
        report.break_promise("agents silently stuck", str(one))


def check_memories(client, acks, report):
    """The memory of native agents was changed once for each event, however often the process died over it."""
    wanted = Counter()
    for order, ack in acks.items():
        if kind_of(order) == "n":
            wanted[ack["agent"], "orders"] += 1
        elif kind_of(order) == "q":
            wanted[COUNTER, "events"] += 1
    for (agent, field), count in wanted.items():
        answer = client.get(agent_path(agent, "/state"))
        found = answer.json()["state"].get(field) if answer.status == 200 else None
        report.counts["changes of memory"] += count
        if found != count:
            report.break_promise("events processed twice" if (found or 0) > count else "acknowledged events lost",
                                 f"{agent} counted {found} in its memory, not {count}")


def check_stream(order, run_id, seen, address, ledger, report):
    """What a reader was shown over all its connections is what the stream shows from its beginning."""
    report.counts["streams followed"] += 1
    report.counts["stream events seen"] += len(seen)

    def contradicted(what):
        report.break_promise("streams contradicted", f"{order} {run_id}: {what}")

    try:
        whole = sse.Stream(address, f"/v1/runs/{run_id}/stream")
        if whole.status != 200:
            return contradicted(f"replay gives {whole.status} {whole.read_body()[:200]!r}")
        full = list(whole)
    except Unreachable as why:
        return contradicted(f"the replay breaks off: {why}")
    cursors = [one.id for one in seen]
    if len(set(cursors)) != len(cursors):
        return contradicted(f"shown twice: {[c for c, n in Counter(cursors).items() if n > 1][:3]}")
    place = {one.id: i for i, one in enumerate(full)}
    known = [place[c] for c in cursors if c in place]
    if known != sorted(known):
        return contradicted("shown in another order")
    data_of = {one.id: (one.name, one.data) for one in full}
    for one in seen:
        if one.id in data_of and data_of[one.id] != (one.name, one.data):
            return contradicted(f"cursor {one.id} was {one.name} {one.data} and is {data_of[one.id]}")

    def steps(events):
        return [(one.name, one.data) for one in events if one.name not in ("text.delta", "step.rewound")]

    if steps(seen) != steps(full):
        here, there = steps(seen), steps(full)
        missing = [one for one in there if one not in here][:2]
        extra = [one for one in here if one not in there][:2]
        return contradicted(f"missed {missing}, shown besides {extra}")
    try:
        shown, true = sse.texts_of(seen), sse.texts_of(full)
    except sse.Contradiction as why:
        return contradicted(str(why))
    if shown != true:
        return contradicted(f"texts {shown} and {true}")
    said = {one.detail["text"] for one in ledger.of(order) if one.kind == "model"} | {f"order {order}\n"}
    for step, text in true.items():
        if text not in said:
            return contradicted(f"step {step} shows {text!r}, which the model never said")
    report.counts["rewinds shown"] += sum(1 for one in seen if one.name == "step.rewound")


def check_acks(client, acks, bodies, report):
    """Repeating an acknowledged request joins the first."""
    for order, ack in acks.items():
        if order in report.lost:
            continue
        answer = client.post(agent_path(ack["agent"], "/events"), bodies[order], headers={"Idempotency-Key": order})
        report.counts["repeats joined"] += 1
        if answer.status not in (200, 202) or answer.headers.get("Idempotent-Replayed") != "true":
            report.break_promise("acknowledged events lost", f"{order}: a repeat is new: {answer!r}")
        elif answer.json()["run_id"] != ack["run_id"]:
            report.break_promise("events processed twice", f"{order}: a repeat is {answer.json()['run_id']}, not {ack['run_id']}")


def dump(report):
    return json.dumps({"counts": report.counts, "broken": report.broken}, indent=1)
