#include "tests/unit/runtime_gateway/asking.hpp"

#include <condition_variable>
#include <deque>
#include <map>
#include <thread>

#include "persistence/keys.hpp"
#include "runtime/gateway/stream_renderer.hpp"
#include "tests/unit/runtime_gateway/random_life.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

const std::string agent_path = "/v1/agents/support/cus_42/stream";

struct seen_event {
  std::string id;
  std::string type;
  json data;
  bool operator==(const seen_event&) const = default;
};

std::vector<seen_event> events_of(const std::string& text) {
  std::vector<seen_event> out;
  net::sse_parser parser;
  const auto failed = parser.feed(text, [&](const net::sse_event& event) {
    out.push_back({event.id, event.type, json::parse(event.data)});
  });
  REQUIRE(failed == net::sse_failure::none);
  return out;
}

std::vector<std::string> types_of(const std::vector<seen_event>& events) {
  std::vector<std::string> out;
  for (const auto& event : events)
    out.push_back(event.type);
  return out;
}

/// A thread for what may block.
class worker {
public:
  worker() : thread_([this] { run(); }) {}
  ~worker() {
    post(nullptr);
    thread_.join();
  }
  void post(std::function<void()> work) {
    {
      const std::lock_guard lock{mutex_};
      queue_.push_back(std::move(work));
    }
    wake_.notify_one();
  }
  /// Waits until everything that was posted is done, and what it posted itself.
  void drain() {
    std::unique_lock lock{mutex_};
    idle_.wait(lock, [this] { return queue_.empty() && !busy_; });
  }

private:
  void run() {
    std::unique_lock lock{mutex_};
    for (;;) {
      wake_.wait(lock, [this] { return !queue_.empty(); });
      const auto work = std::move(queue_.front());
      queue_.pop_front();
      if (!work)
        return;
      busy_ = true;
      lock.unlock();
      work();
      lock.lock();
      busy_ = false;
      if (queue_.empty())
        idle_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  bool busy_ = false;
  std::deque<std::function<void()>> queue_;
  std::thread thread_;
};
worker& slow_things() {
  static worker one_of_them;
  return one_of_them;
}

/// A run with a model call that streams, a tool, and an end.
void run_to_end(fake_node& node, std::uint64_t number) {
  const auto seq = node.commit(one, {received(node, one, number)});
  const auto no = node.state_of(one).effect_next;
  model_requested model;
  model.effect_no = no;
  model.step = 1;
  model.model = "primary";
  model.term = 1;
  node.commit(one, {started(node, one, number, seq), model});
  node.commit(one, {text_streamed{no, 1, 0, "wr"}});
  node.commit(one, {effect_started{no, 2, 1}});
  node.commit(one, {text_streamed{no, 2, 0, "hel"}});
  node.commit(one, {text_streamed{no, 2, 3, "lo\n"}});
  model_completed reply;
  reply.effect_no = no;
  reply.attempt = 2;
  reply.used.output_tokens = 9;
  tool_requested tool;
  tool.effect_no = no + 1;
  tool.step = 2;
  tool.tool = "refund";
  tool.input = R"({"a":1.0})";
  tool.term = 1;
  node.commit(one, {reply, tool});
  node.commit(one, {effect_unknown{no + 1, 1, {"timeout", "lost", no + 1, false}}});
  node.commit(
    one, {effect_reconciled{no + 1, resolution::succeeded, "{\"ok\":true}", {}, "me", "refund"},
          run_completed{run_no(node, one, number), R"({"done":1})"}});
}

}  // namespace

TEST_CASE("stream: a finished run is replayed with every event of the contract, and closes") {
  asking at;
  run_to_end(at.node, 1);
  const auto run = run_no(at.node, one, 1);
  const auto got = at.ask("GET", "/v1/runs/" + to_string(run) + "/stream");
  CHECK(got->status() == 200);
  CHECK(got->answer->content_type.starts_with("text/event-stream"));
  CHECK(got->header("Cache-Control") == "no-store");
  REQUIRE(got->stream);
  CHECK(got->stream->ended);
  const auto events = events_of(got->sent());
  CHECK(types_of(events) ==
        std::vector<std::string>{"run.started", "step.started", "text.delta", "step.rewound",
                                 "text.delta", "text.delta", "step.started", "tool.called",
                                 "tool.result", "run.waiting", "tool.result", "run.completed"});
  for (const auto& event : events) {
    CHECK(event.data["run_id"] == to_string(run));
    CHECK(event.data["seq"].is_number_unsigned());
    CHECK(event.data["at"].is_string());
  }
  CHECK(events[1].data["kind"] == "model");
  CHECK(events[1].data["name"] == "primary");
  CHECK(events[1].data["step"] == 1);
  CHECK(events[2].data["text"] == "wr");
  CHECK(events[3].data["to"] == 0);
  CHECK(events[5].data["offset"] == 3);
  CHECK(events[5].data["text"] == "lo\n");
  CHECK(events[7].data["input"] == json{{"a", 1.0}});
  CHECK(events[7].data["effect"] == to_string(effect_id{run, 2}));
  CHECK(events[8].data["status"] == "unknown");
  CHECK(events[8].data["error"]["code"] == "timeout");
  CHECK(events[9].data["cause"]["kind"] == "reconcile");
  CHECK(events[10].data["status"] == "succeeded");
  CHECK(events[10].data["output"] == json{{"ok", true}});
  CHECK(events[11].data["output"] == json{{"done", 1}});
  CHECK(events[11].data["usage"]["output_tokens"] == 9);
}

TEST_CASE(
  "stream: a run that waits in the mailbox is heard of when it begins, and its stream ends with "
  "it") {
  asking at;
  const auto seq = at.node.commit(one, {received(at.node, one, 1)});
  const auto got = at.ask("GET", "/v1/runs/" + to_string(run_no(at.node, one, 1)) + "/stream");
  CHECK(events_of(got->sent()).empty());
  CHECK(at.node.listeners() == 1);
  at.node.commit(one, {started(at.node, one, 1, seq)});
  CHECK(types_of(events_of(got->sent())) == std::vector<std::string>{"run.started"});
  at.node.commit(one, {run_completed{run_no(at.node, one, 1), "1"}});
  CHECK(types_of(events_of(got->sent())).back() == "run.completed");
  CHECK(got->stream->ended);
  at.front.tick();
  CHECK(at.node.listeners() == 0);
}

TEST_CASE("stream: a waiting run that is cancelled ends its stream") {
  asking at;
  at.node.commit(one, {received(at.node, one, 1)});
  const auto got = at.ask("GET", "/v1/runs/" + to_string(run_no(at.node, one, 1)) + "/stream");
  at.node.commit(one, {run_cancelled{run_no(at.node, one, 1), "because"}});
  CHECK(types_of(events_of(got->sent())) == std::vector<std::string>{"run.cancelled"});
  CHECK(got->stream->ended);
}

TEST_CASE("stream: an agent's begins now, or behind a cursor") {
  asking at;
  run_to_end(at.node, 1);
  const auto from_now = at.ask("GET", agent_path);
  const auto from_start = at.ask("GET", agent_path + "?from=0");
  run_to_end(at.node, 2);
  CHECK(events_of(from_now->sent()).size() == 12);
  const auto all = events_of(from_start->sent());
  CHECK(all.size() == 24);
  const auto by_header = at.ask("GET", agent_path + "?from=0", {}, {{"Last-Event-ID", all[11].id}});
  CHECK(events_of(by_header->sent()) == events_of(from_now->sent()));
}

TEST_CASE("stream: whoever joins and leaves anywhere sees everything once and in order") {
  for (unsigned seed = 1; seed <= 25; ++seed) {
    CAPTURE(seed);
    asking at;
    at.node.commit(one, {paused{"me", "r"}, resumed{"me", "r"}});
    random_life life{at.node, seed};
    const auto whole = at.ask("GET", agent_path + "?from=0");
    std::vector<std::pair<std::size_t, std::shared_ptr<asked>>>
      joined;  // and how much there was by then
    for (int i = 0; i < 120; ++i) {
      life.step();
      if (i % 7 == 0) {
        joined.emplace_back(events_of(whole->sent()).size(), at.ask("GET", agent_path));
        if (i % 3 == 0)
          joined[joined.size() / 2].second->stream->hang_up();
      }
      at.front.tick();
    }
    const auto live = events_of(whole->sent());
    REQUIRE(live.size() > 100);
    // Read again from the disk: the same.
    CHECK(events_of(at.ask("GET", agent_path + "?from=0")->sent()) == live);
    std::set<std::string> ids;
    for (const auto& event : live)
      CHECK(ids.insert(event.id).second);
    for (const auto& [before, stream] : joined)
      if (!stream->stream->ended)
        CHECK(events_of(stream->sent()) ==
              std::vector(live.begin() + static_cast<std::ptrdiff_t>(before), live.end()));
    // Resumed behind every event: exactly the rest.
    for (std::size_t i = 0; i < live.size(); i += 3) {
      const auto rest =
        events_of(at.ask("GET", agent_path, {}, {{"Last-Event-ID", live[i].id}})->sent());
      CHECK_MESSAGE(
        rest == std::vector(live.begin() + static_cast<std::ptrdiff_t>(i) + 1, live.end()),
        live[i].id);
    }
    // Each run's own stream is the agent's, narrowed.
    std::map<std::string, std::vector<seen_event>> by_run;
    for (const auto& event : live)
      by_run[event.data["run_id"]].push_back(event);
    for (const auto& [run, events] : by_run) {
      CHECK(events_of(at.ask("GET", "/v1/runs/" + run + "/stream")->sent()) == events);
      const auto middle = events.size() / 2;
      CHECK(
        events_of(at.ask("GET", "/v1/runs/" + run + "/stream?from=" + events[middle].id)->sent()) ==
        std::vector(events.begin() + static_cast<std::ptrdiff_t>(middle) + 1, events.end()));
    }
  }
}

TEST_CASE("stream: commits that nobody told of are filled in from the disk") {
  asking at;
  const auto seq = at.node.commit(one, {received(at.node, one, 1)});
  const auto got = at.ask("GET", agent_path);
  at.node.commit_silently(one, {started(at.node, one, 1, seq)});
  at.node.commit_silently(one, {text_emitted{run_no(at.node, one, 1), 0, "a"}});
  CHECK(events_of(got->sent()).empty());
  at.node.commit(one, {text_emitted{run_no(at.node, one, 1), 1, "b"}});
  CHECK(types_of(events_of(got->sent())) ==
        std::vector<std::string>{"run.started", "text.delta", "text.delta"});
}

TEST_CASE(
  "stream: when a state is put in place as a whole, streams of its agents end, and go on by "
  "cursor") {
  asking at;
  agent_name other{"support", "a"};
  for (int i = 0; at.node.group(other) == at.node.group(one); ++i)
    other.key = "b" + std::to_string(i);
  at.node.commit(other, {paused{"me", "r"}});
  const auto elsewhere = at.ask("GET", "/v1/agents/support/" + other.key + "/stream");
  const auto seq = at.node.commit(one, {received(at.node, one, 1)});
  at.node.commit(one, {started(at.node, one, 1, seq)});
  const auto path = "/v1/runs/" + to_string(run_no(at.node, one, 1)) + "/stream";
  const auto of_run = at.ask("GET", path);
  const auto of_agent = at.ask("GET", agent_path);
  const auto seen = events_of(of_run->sent());
  REQUIRE(seen.size() == 1);
  at.node.commit_silently(one, {run_completed{run_no(at.node, one, 1), "1"}});
  at.front.state_replaced(at.node.group(one));
  CHECK(of_run->stream->ended);
  CHECK(of_agent->stream->ended);
  CHECK(!elsewhere->stream->ended);
  const auto again = at.ask("GET", path + "?from=" + seen.back().id);
  CHECK(types_of(events_of(again->sent())) == std::vector<std::string>{"run.completed"});
  CHECK(again->stream->ended);
}

TEST_CASE("stream: what was committed between the replay and the subscription is not lost") {
  asking at;
  const auto seq = at.node.commit(one, {received(at.node, one, 1)});
  const auto first = at.ask("GET", agent_path);
  at.node.commit_silently(one, {started(at.node, one, 1, seq)});
  const auto second = at.ask("GET", agent_path + "?from=" + std::to_string(seq));
  CHECK(types_of(events_of(first->sent())) == std::vector<std::string>{"run.started"});
  CHECK(events_of(second->sent()) == events_of(first->sent()));
}

TEST_CASE("stream: subscribers share the bytes of a batch") {
  asking at;
  const auto seq = at.node.commit(one, {received(at.node, one, 1)});
  const auto a = at.ask("GET", agent_path);
  const auto b = at.ask("GET", agent_path);
  const auto c = at.ask("GET", "/v1/runs/" + to_string(run_no(at.node, one, 1)) + "/stream");
  const auto d = at.ask("GET", "/v1/runs/" + to_string(run_no(at.node, one, 1)) + "/stream");
  CHECK(at.node.listeners() == 1);
  at.node.commit(one, {started(at.node, one, 1, seq)});
  REQUIRE(a->stream->pieces.size() == 1);
  CHECK(a->stream->pieces[0] == b->stream->pieces[0]);
  CHECK(c->stream->pieces[0] == d->stream->pieces[0]);
}

TEST_CASE("stream: one that cannot take more is dropped, and the others go on") {
  asking at;
  const auto seq = at.node.commit(one, {received(at.node, one, 1)});
  const auto slow = at.ask("GET", agent_path);
  const auto quick = at.ask("GET", agent_path);
  slow->stream->room = 1;
  at.node.commit(one, {started(at.node, one, 1, seq)});
  at.node.commit(one, {text_emitted{run_no(at.node, one, 1), 0, "a"}});
  CHECK(slow->stream->ended);
  CHECK(events_of(quick->sent()).size() == 2);
  quick->stream->hang_up();
  at.front.tick();
  CHECK(at.node.listeners() == 0);
  at.node.commit(one, {text_emitted{run_no(at.node, one, 1), 1, "b"}});
}

TEST_CASE("stream: a silent one is kept alive by comments, every fifteen seconds") {
  asking at;
  at.node.commit(one, {paused{"me", "r"}});
  const auto got = at.ask("GET", agent_path);
  const auto comments = [&] {
    std::size_t count = 0;
    for (const auto& piece : got->stream->pieces)
      count += piece->starts_with(":") ? 1 : 0;
    return count;
  };
  at.front.tick();
  at.now_ms += 14'999;
  at.front.tick();
  CHECK(comments() == 0);
  at.now_ms += 1;
  at.front.tick();
  CHECK(comments() == 1);
  at.front.tick();
  CHECK(comments() == 1);
  at.now_ms += 15'000;
  at.front.tick();
  CHECK(comments() == 2);
  CHECK(events_of(got->sent()).empty());
}

TEST_CASE("stream: a replay beyond the bound is cut, and goes on by cursor to the same whole") {
  asking whole;
  run_to_end(whole.node, 1);
  const auto all = events_of(whole.ask("GET", agent_path + "?from=0")->sent());
  gateway_options opts;
  opts.replay_bytes_max = 400;
  asking at{std::move(opts)};
  run_to_end(at.node, 1);
  std::vector<seen_event> put_together;
  std::string cursor = "0";
  for (int i = 0; i < 100; ++i) {
    const auto got = at.ask("GET", agent_path, {}, {{"Last-Event-ID", cursor}});
    for (const auto& event : events_of(got->sent()))
      put_together.push_back(event);
    cursor = put_together.back().id;
    if (!got->stream->ended)
      break;
  }
  CHECK(put_together == all);
}

TEST_CASE("stream: a node that drains closes its streams") {
  asking at;
  at.node.commit(one, {paused{"me", "r"}});
  const auto got = at.ask("GET", agent_path);
  at.node.now_status.draining = true;
  at.front.tick();
  CHECK(got->stream->ended);
}

TEST_CASE("stream: a deleted agent's stream ends") {
  asking at;
  at.node.commit(one, {paused{"me", "r"}});
  const auto got = at.ask("GET", agent_path);
  at.node.commit(one, {agent_deleted{"me"}});
  CHECK(got->stream->ended);
  at.node.commit(one, {received(at.node, one, 1)});
  const auto again = at.ask("GET", agent_path);
  at.node.commit(one, {started(at.node, one, 1, 1)});
  CHECK(events_of(again->sent()).size() == 1);
}

TEST_CASE("stream: a cursor that is none is refused, one below retention is gone") {
  asking at;
  run_to_end(at.node, 1);
  for (const auto* cursor :
       {"x", "-1", "1.", "1.x", "1.1.1", "99999999999999999999999", "1.4294967295"}) {
    check_refused(at, at.ask("GET", agent_path + "?from=" + cursor), 400, "malformed");
    check_refused(at, at.ask("GET", agent_path, {}, {{"Last-Event-ID", cursor}}), 400, "malformed");
  }
  write_set trim;
  trim.erase(family::journal, keys::numbered(at.node.group(one), one, 1));
  REQUIRE(at.node.disk.write(trim, true));
  check_refused(at, at.ask("GET", agent_path + "?from=0"), 410, "gone");
  CHECK(at.ask("GET", agent_path + "?from=1")->status() == 200);
  CHECK(at.ask("GET", agent_path + "?from=1000000")->status() == 200);
}

TEST_CASE("stream: texts that would break the framing do not") {
  asking at;
  const auto seq = at.node.commit(one, {received(at.node, one, 1)});
  at.node.commit(one, {started(at.node, one, 1, seq)});
  at.node.commit(one, {text_emitted{run_no(at.node, one, 1), 0,
                                    "a\r\n\r\nevent: run.completed\ndata: {}\n\n\xff"}});
  const auto events = events_of(at.ask("GET", agent_path + "?from=0")->sent());
  REQUIRE(events.size() == 2);
  CHECK(events[1].data["text"] == "a\r\n\r\nevent: run.completed\ndata: {}\n\n\xEF\xBF\xBD");
}

TEST_CASE(
  "stream: joined and left by several threads while another commits, each sees everything once and "
  "in order") {
  asking at{[] {
    gateway_options opts;
    opts.offload = [](std::function<void()> work) { slow_things().post(std::move(work)); };
    return opts;
  }()};
  at.node.commit(one, {paused{"me", "r"}, resumed{"me", "r"}});
  random_life life{at.node, 99};
  std::atomic<bool> over{false};
  std::vector<std::shared_ptr<asked>> kept[3];
  std::vector<std::thread> threads;
  for (auto& mine : kept)
    threads.emplace_back([&] {
      for (int i = 0; !over || i < 3; ++i) {
        const auto got = at.ask("GET", agent_path + "?from=0");
        got->wait();
        if (i % 4 == 0 && mine.size() < 20)
          mine.push_back(got);
        else
          got->stream->hang_up();
      }
    });
  threads.emplace_back([&] {
    while (!over)
      at.front.tick();
  });
  for (int i = 0; i < 150; ++i)
    life.step();
  over = true;
  for (auto& thread : threads)
    thread.join();
  const auto whole = at.ask("GET", agent_path + "?from=0");
  slow_things().drain();
  const auto all = events_of(whole->sent());
  REQUIRE(all.size() > 100);
  for (const auto& mine : kept) {
    CHECK(!mine.empty());
    for (const auto& got : mine)
      CHECK(events_of(got->sent()) == all);
  }
}
