// A server without a commit, to compare with: the same HTTP server, either with the same gateway in front of a node that
// answers at once and stores nothing (`gateway`), or with one constant answer (`constant`: also the sink that tools are
// pointed at), or streaming text to everybody who asks (`stream`). Prints `port N`; ends with its standard input.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <mutex>
#include <thread>

#include "persistence/memory_store.hpp"
#include "runtime/gateway/gateway.hpp"
#include "runtime/net/http_server.hpp"
#include "tools/bench/socket.hpp"

namespace holdfast::bench {
namespace {

/// Accepts everything at once, remembers nothing.
class forgetful_node final : public backend {
public:
  void submit(agent_name to, command, std::optional<idempotency>, bool until_end, audit_note,
              answer_function tell) override {
    const event_id event{
      make_id(now(), 1, hash_of(to), number_.fetch_add(1, std::memory_order_relaxed))};
    const run_id run{event.id};
    if (!until_end)
      return tell(accepted_event{std::move(to), event, run, false, false});
    run_answer ended;
    ended.event = event;
    ended.end.summary.id = run;
    ended.end.summary.agent = to;
    ended.end.summary.event = event;
    ended.end.summary.status = run_status::completed;
    ended.end.output = "{}";
    tell(accepted_event{std::move(to), event, run, false, false});
    tell(std::move(ended));
  }
  void route(event, std::string, std::optional<idempotency>, event_sender,
             answer_function tell) override {
    const event_id id{make_id(now(), 1, 1, number_.fetch_add(1, std::memory_order_relaxed))};
    tell(routed_event{id, {}, false});
  }
  void fork(agent_name, seq_no, std::string, audit_note, answer_function tell) override {
    refuse(tell);
  }
  void apply(std::vector<definition_change_request>, bool, std::string, audit_note,
             answer_function tell) override {
    refuse(tell);
  }
  void settle_dead_letter(event_id, bool, audit_note, answer_function tell) override {
    refuse(tell);
  }
  void audit(audit_recorded, answer_function tell) override { refuse(tell); }
  void wait_for(agent_name, run_id, answer_function tell) override { refuse(tell); }

  std::shared_ptr<const catalog> definitions() const override { return definitions_; }
  const reader& records() const override { return records_; }
  std::uint16_t partitions() const override { return partitions_default; }
  node_status status() const override {
    node_status out;
    out.ready = true;
    out.node = out.version = "bench";
    return out;
  }
  std::vector<metric_value> metrics() const override { return {}; }
  time_us now() const override {
    return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
  }
  bool has_native(std::string_view) const override { return true; }
  std::uint64_t subscribe(agent_name,
                          std::function<void(std::shared_ptr<const turn_record>)>) override {
    return 1;
  }
  void unsubscribe(std::uint64_t) override {}

private:
  static void refuse(const answer_function& tell) {
    tell(error{errc::not_available, "not in this benchmark"});
  }

  std::atomic<std::uint64_t> number_{1};
  std::shared_ptr<const catalog> definitions_ = std::make_shared<const catalog>();
  memory_store records_;
};

/// Writes one small event to each stream fifty times a second, spread over the time between two.
class text_to_everybody {
public:
  text_to_everybody() : thread_([this] { run(); }) {}
  ~text_to_everybody() {
    stopping_ = true;
    thread_.join();
  }
  void add(net::stream_handle to) {
    const std::lock_guard lock{mutex_};
    groups_[next_++ % groups_.size()].push_back(std::move(to));
  }

private:
  static std::string event_text() {
    const auto now = std::chrono::system_clock::now();
    const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    std::tm utc{};
    ::gmtime_r(&seconds, &utc);
    char at[40];
    std::strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%S.", &utc);
    return std::string{
             "id: 00000000000000000000000000\nevent: text.delta\ndata: "
             "{\"run_id\":\"run_0000000000000000000000000\","
             "\"seq\":1,\"at\":\""} +
           at + std::to_string(1'000 + ms).substr(1) +
           "Z\",\"step\":1,\"offset\":1,\"text\":\"word \"}\n\n";
  }
  void run() {
    auto due = std::chrono::steady_clock::now();
    for (std::size_t i = 0; !stopping_; ++i) {
      due += std::chrono::milliseconds{1};
      std::this_thread::sleep_until(due);
      const auto text = std::make_shared<const std::string>(event_text());
      const std::lock_guard lock{mutex_};
      for (const auto& to : groups_[i % groups_.size()])
        to.write(text);
    }
  }

  std::mutex mutex_;
  std::array<std::vector<net::stream_handle>, 20> groups_;  // each has its turn every 20 ms
  std::size_t next_ = 0;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

int serve(const std::string& answer, unsigned status, const std::string& header) {
  net::http_server::options options;
  options.connections_max = 12'000;
  net::http_server server{std::move(options)};
  forgetful_node node;
  gateway front{node, {}};
  std::optional<text_to_everybody> text;
  net::http_response constant;
  constant.status = status;
  constant.content_type = "application/json";
  constant.body = "{}";
  if (const auto colon = header.find(": "); colon != std::string::npos)
    constant.headers.emplace_back(header.substr(0, colon), header.substr(colon + 2));
  net::handler handler = [&constant](net::http_request&&, net::responder to) { to.send(constant); };
  if (answer == "gateway") {
    handler = [&front](net::http_request&& request, net::responder to) {
      front.handle(std::move(request), std::move(to));
    };
  } else if (answer == "stream") {
    text.emplace();
    handler = [&text](net::http_request&&, net::responder to) {
      net::http_response head;
      head.content_type = "text/event-stream";
      text->add(to.start_stream(std::move(head)));
    };
  }
  if (const auto listening = server.start(std::move(handler)); !listening)
    give_up(listening.detail);
  std::printf("port %u\n", server.port());
  std::fflush(stdout);
  char ignored = 0;
  while (::read(STDIN_FILENO, &ignored, 1) > 0) {
  }
  text.reset();
  server.stop();
  return 0;
}

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  std::string answer = "gateway";
  unsigned status = 202;
  std::string header;
  CLI::App app{"A server without a commit"};
  app.add_option("--answer", answer)->check(CLI::IsMember({"gateway", "constant", "stream"}));
  app.add_option("--status", status, "constant: of the answer");
  app.add_option("--header", header, "constant: one more, as `Name: value`");
  CLI11_PARSE(app, argc, argv);
  return holdfast::bench::serve(answer, status, header);
}
