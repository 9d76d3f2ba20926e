// Native agents that wait, ask, sleep and break, for the integration tests. Built by harness/native.py.

#include <chrono>
#include <cstdlib>
#include <stdexcept>

#include <holdfast/agent.hpp>

using holdfast::event;
using holdfast::outcome;
using holdfast::turn;

/// Sleeps as long as it is told, then completes.
class sleeper : public holdfast::agent {
public:
  void on_event(turn& t, const event& e) override {
    t.sleep(std::chrono::milliseconds{e.data().value("ms", 0)}, "nap");
  }
  void on_timer(turn& t, std::string_view tag) override { t.complete({{"woken_by", tag}}); }
};
HOLDFAST_AGENT("sleeper", sleeper);

/// Waits for an `answer` whose `n` is more than 1.
class waiter : public holdfast::agent {
public:
  void on_event(turn& t, const event& e) override {
    if (e.type == "answer")
      return t.complete(e.data());
    t.wait_for("answer", ".data.n > 1", std::chrono::milliseconds{e.data().value("timeout_ms", 0)});
  }
  void on_timer(turn& t, std::string_view tag) override { t.complete({{"timed_out", tag}}); }
};
HOLDFAST_AGENT("waiter", waiter);

/// Asks the agent that it is told to ask.
class asker : public holdfast::agent {
public:
  void on_event(turn& t, const event& e) override {
    t.ask(e.data().at("agent").get<std::string>(), event{"question", e.data().at("question")});
  }
  void on_outcome(turn& t, const outcome& o) override {
    t.complete({{"status", static_cast<int>(o.status)}, {"result", o.result}, {"error", o.error}});
  }
};
HOLDFAST_AGENT("asker", asker);

/// Throws, or takes the process with it.
class breaker : public holdfast::agent {
public:
  void on_event(turn& t, const event& e) override {
    const auto how = e.data().value("how", "");
    t.memory()["touched"] = true;  // must not survive
    if (how == "throw")
      throw std::runtime_error{"thrown on purpose"};
    if (how == "crash")
      std::abort();
    t.complete({{"calm", true}});
  }
};
HOLDFAST_AGENT("breaker", breaker);
HOLDFAST_AGENT("thrower",
               breaker);  // has more attempts, so that it can be looked at while it waits

/// Counts its events in its memory.
class counter : public holdfast::agent {
public:
  void on_event(turn& t, const event& e) override {
    auto& memory = t.memory();
    memory["events"] = memory.value("events", 0) + 1;
    t.emit("event " + std::to_string(memory["events"].get<int>()) + "\n");
    t.complete({{"events", memory["events"]}, {"data", e.data()}});
  }
};
HOLDFAST_AGENT("counter", counter);

/// Remembers how many orders it had, rests, then ships.
class courier : public holdfast::agent {
public:
  void on_event(turn& t, const event& e) override {
    auto& memory = t.memory();
    memory["orders"] = memory.value("orders", 0) + 1;
    t.emit("order " + e.data().at("order").get<std::string>() + "\n");
    t.sleep(std::chrono::milliseconds{40}, e.data().at("order").get<std::string>());
  }
  void on_timer(turn& t, std::string_view tag) override { t.call("ship", {{"id", tag}}); }
  void on_outcome(turn& t, const outcome& o) override {
    if (o.status == holdfast::outcome_kind::succeeded)
      t.complete(o.result);
    else
      t.fail(o.error);
  }
};
HOLDFAST_AGENT("courier", courier);

int main(int argc, char** argv) { return holdfast::main(argc, argv); }
