// A whole node in this process: real threads, actors, disk and HTTP. What one thread cannot show.

#include "cluster/node.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <set>
#include <thread>

#include "persistence/keys.hpp"
#include "runtime/definition/definition_parser.hpp"
#include "runtime/net/http_client.hpp"
#include "schemas/codec.hpp"

using namespace holdfast;

namespace {

constexpr auto patience = std::chrono::seconds{60};

class data_folder {
public:
  data_folder() {
    auto pattern = (std::filesystem::temp_directory_path() / "holdfast-node-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
    std::ofstream{path / "script.yaml"} << "turns: [{ text: \"one two three four\" }]\n";
  }
  ~data_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  data_folder(const data_folder&) = delete;
  data_folder& operator=(const data_folder&) = delete;
  std::filesystem::path path;
};

std::unique_ptr<node> started(const data_folder& at, const http_config& http = {}) {
  node::options options;
  options.config.http = http;
  options.config.data = at.path / "data";
  options.config.http.port = 0;
  options.config.log_level = "error";
  options.config.cluster.partitions = 4;
  model_config model;
  model.file = at.path / "script.yaml";
  options.config.models.emplace("demo", std::move(model));
  options.development = true;
  options.version = "test";
  auto one = std::make_unique<node>(std::move(options));
  const auto up = one->start();
  REQUIRE_MESSAGE(up, up.error().context);
  return one;
}

/// Sends an event of so many bytes. Gives the status.
unsigned post_event(const node& to, std::size_t bytes) {
  net::client_request request;
  request.method = "POST";
  request.url = "http://127.0.0.1:" + std::to_string(to.port()) + "/v1/agents/echo/big/events";
  request.headers = {{"Content-Type", "application/json"}};
  const std::string head = R"({"type":"test","data":")";
  const std::string tail = "\"}";
  request.body = head + std::string(bytes - head.size() - tail.size(), 'x') + tail;
  auto policy = std::make_shared<net::egress_policy>();
  policy->allow_loopback = true;
  request.egress = std::move(policy);
  auto told = std::make_shared<std::promise<unsigned>>();
  auto future = told->get_future();
  net::http_client client{{}};
  client.start(std::move(request), {{}, {}, [told](net::client_result&& result) {
                                      told->set_value(result.head.status);
                                    }});
  REQUIRE(future.wait_for(patience) == std::future_status::ready);
  return future.get();
}

/// Waits for the last answer.
template <class Ask>
answer final_answer(Ask ask) {
  auto told = std::make_shared<std::promise<answer>>();
  auto future = told->get_future();
  ask([told](answer what) {
    if (!std::holds_alternative<accepted_event>(what))
      told->set_value(std::move(what));
  });
  REQUIRE(future.wait_for(patience) == std::future_status::ready);
  return future.get();
}

void define_speaker(backend& of) {
  auto parsed = parse_definitions(
    "kind: agent\ntype: speaker\nbehaviour: llm\nmodel: { use: [demo] }\ninstructions: Speak.\n",
    "speaker.yaml", {});
  REQUIRE(parsed);
  auto& item = parsed.items[0];
  const auto done = final_answer([&](answer_function tell) {
    of.apply({{item.kind, item.name, item.canonical_json}}, false, "test", nullptr,
             std::move(tell));
  });
  REQUIRE(std::holds_alternative<definitions_done>(done));
}

deliver_event event_with(std::string data) {
  deliver_event out;
  out.event.type = "test";
  out.event.data = std::move(data);
  out.verified = "none";
  return out;
}

/// Counts what was sent and answered, from any thread.
struct tally {
  std::mutex mutex;
  std::condition_variable changed;
  std::set<run_id> accepted;
  std::set<run_id> ended;
  std::size_t open = 0;
  std::size_t refused = 0;

  void send(backend& to, agent_name name, std::string data) {
    {
      const std::lock_guard lock{mutex};
      ++open;
    }
    to.submit(std::move(name), event_with(std::move(data)), {}, true, nullptr, [this](answer what) {
      const std::lock_guard lock{mutex};
      if (const auto* taken = std::get_if<accepted_event>(&what)) {
        accepted.insert(taken->run);
        return;
      }
      if (const auto* end = std::get_if<run_answer>(&what)) {
        accepted.insert(end->end.summary.id);
        ended.insert(end->end.summary.id);
      } else {
        ++refused;
      }
      --open;
      changed.notify_all();
    });
  }
  bool wait() {
    std::unique_lock lock{mutex};
    return changed.wait_for(lock, patience, [&] { return open == 0; });
  }
};

void send_from_threads(backend& to, tally& into, std::size_t threads, std::size_t each) {
  std::vector<std::thread> senders;
  for (std::size_t t = 0; t < threads; ++t)
    senders.emplace_back([&, t] {
      for (std::size_t i = 0; i < each; ++i) {
        const auto key = "k" + std::to_string((t + i) % 7);
        if (i % 3 == 0)
          into.send(to, {"speaker", key}, "\"hello\"");
        else if (i % 3 == 1)
          into.send(to, {"loop", key}, R"({"steps":3})");
        else
          into.send(to, {"echo", key}, R"({"n":1})");
      }
    });
  for (auto& sender : senders)
    sender.join();
}

}  // namespace

TEST_CASE("node: what many threads send ends, while others read, follow and hold its agents") {
  const data_folder disk;
  const auto up = started(disk);
  auto& inside = up->inside();
  define_speaker(inside);
  std::atomic<bool> over{false};
  std::atomic<std::size_t> heard{0};
  std::thread reader{[&] {
    while (!over) {
      const agent_name watched{"speaker", "k1"};
      const auto following = inside.subscribe(watched, [&](const auto&) { ++heard; });
      (void)inside.metrics();
      (void)inside.records().get(family::snapshot, "x");
      for (const auto verb : {control_verb::pause, control_verb::resume})
        (void)final_answer([&](answer_function tell) {
          inside.submit(watched, control{verb, "test", "", {}, false}, {}, false, nullptr,
                        std::move(tell));
        });
      inside.unsubscribe(following);
    }
  }};
  tally sent;
  send_from_threads(inside, sent, 4, 60);
  CHECK(sent.wait());
  over = true;
  reader.join();
  CHECK(sent.refused == 0);
  CHECK(sent.accepted.size() == 240);
  CHECK(sent.ended == sent.accepted);
  CHECK(heard > 0);
}

TEST_CASE("node: an event may be as big as `http.body_max` says, and no bigger") {
  for (const std::uint64_t mebibytes : {1, 2}) {
    CAPTURE(mebibytes);
    const data_folder disk;
    http_config http;
    http.body_bytes_max = mebibytes << 20;
    const auto up = started(disk, http);
    CHECK(post_event(*up, 3 << 19) == (mebibytes == 1 ? 413 : 202));
    CHECK(post_event(*up, http.body_bytes_max) == 202);
    CHECK(post_event(*up, http.body_bytes_max + 1) == 413);
  }
}

TEST_CASE("node: stopped in the middle, it starts again and ends what it had accepted") {
  const data_folder disk;
  tally sent;
  {
    const auto up = started(disk);
    define_speaker(up->inside());
    send_from_threads(up->inside(), sent, 2, 60);
    up->stop(std::chrono::milliseconds{0});
  }
  const auto again = started(disk);
  const std::lock_guard lock{sent.mutex};
  for (const auto& run : sent.accepted) {
    CAPTURE(to_string(run));
    const auto stored =
      again->inside().records().get(family::run, keys::by_id(run.id.group(), run.id));
    REQUIRE(stored);
    REQUIRE(*stored);
    const auto summary = codec::decode_run(**stored);
    REQUIRE(summary);
    const auto told = final_answer([&](answer_function tell) {
      again->inside().wait_for(summary->agent, run, std::move(tell));
    });
    REQUIRE(std::holds_alternative<run_answer>(told));
    CHECK(std::get<run_answer>(told).end.summary.status == run_status::completed);
  }
}
