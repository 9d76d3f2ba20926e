// Starts runs that stream text, subscribes to them over SSE, and measures what arrives: how much, and how long after it
// was stamped. Prints one line of JSON.

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>
#include <vector>

#include "tools/bench/latency.hpp"
#include "tools/bench/load.hpp"
#include "tools/bench/process_meter.hpp"
#include "tools/bench/socket.hpp"

namespace holdfast::bench {
namespace {

struct settings {
  std::uint16_t port = 0;
  std::size_t subscribers = 1'000;
  std::size_t runs = 1'000;
  std::string type = "speaker";
  double seconds = 5;
  double warmup = 2;
};

std::chrono::nanoseconds wall_now() { return std::chrono::system_clock::now().time_since_epoch(); }

/// `2026-11-21T09:15:04.123Z` → milliseconds since 1970; remembers the last minute.
class stamp_reader {
public:
  std::int64_t ms_of(std::string_view text) {
    if (text.size() < 23)
      return 0;
    if (text.substr(0, 16) != minute_) {
      minute_ = text.substr(0, 16);
      std::tm utc{};
      ::strptime(minute_.c_str(), "%Y-%m-%dT%H:%M", &utc);
      minute_ms_ = static_cast<std::int64_t>(::timegm(&utc)) * 1'000;
    }
    return minute_ms_ + number(text.substr(17, 2)) * 1'000 + number(text.substr(20, 3));
  }

private:
  static std::int64_t number(std::string_view digits) {
    std::int64_t out = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), out);
    return out;
  }
  std::string minute_;
  std::int64_t minute_ms_ = 0;
};

/// Sends one event and gives the run that it set off.
std::string start_run(const descriptor& connection, const std::string& type, std::size_t number) {
  auto request =
    request_template::post("/v1/agents/" + type + "/k{agent}/events", R"({"data":{"say":"it"}})");
  send_all(connection.number(), request.with(number, 0));
  answer_reader answer;
  pollfd readable{connection.number(), POLLIN, 0};
  do {
    if (::poll(&readable, 1, 10'000) != 1)
      give_up("no answer for 10 s");
  } while (!answer.read(connection.number()));
  const auto document = nlohmann::json::parse(answer.body(), nullptr, false);
  if (answer.status() != 202 || !document.is_object() ||
      !document.value("run_id", nlohmann::json{}).is_string())
    give_up("no run: " + std::string{answer.body()});
  return document["run_id"];
}

struct subscriber {
  descriptor socket;
  std::string unread;
  std::uint64_t deltas = 0;
};

class subscriber_loop {
public:
  explicit subscriber_loop(const settings& s)
    : settings_(s), poll_(::epoll_create1(EPOLL_CLOEXEC)) {}

  void subscribe(const std::vector<std::string>& runs) {
    for (std::size_t i = 0; i < settings_.subscribers; ++i) {
      subscribers_.push_back({connect_to(settings_.port), {}, 0});
      const auto& socket = subscribers_.back().socket;
      epoll_event wanted{};
      wanted.events = EPOLLIN;
      wanted.data.u64 = i;
      ::epoll_ctl(poll_.number(), EPOLL_CTL_ADD, socket.number(), &wanted);
      const auto path =
        runs.empty() ? std::string{"/"} : "/v1/runs/" + runs[i % runs.size()] + "/stream";
      send_all(socket.number(),
               "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n");
      poll(0);
    }
  }

  nlohmann::json run() {
    listen_for(settings_.warmup);
    open_ = true;
    say_window(true);
    for (auto& one : subscribers_)
      one.deltas = 0;
    const auto from = steady::now();
    const process_meter used;
    listen_for(settings_.seconds);
    say_window(false);
    const double seconds = std::chrono::duration<double>(steady::now() - from).count();
    const double cpu_us = used.cpu_us();
    std::uint64_t silent = 0;
    for (const auto& one : subscribers_)
      silent += one.deltas == 0 ? 1 : 0;
    return {{"rate_per_s", static_cast<double>(delays_.count()) / seconds},
            {"answered", delays_.count()},
            {"seconds", seconds},
            {"p50_ms", delays_.quantile_ms(0.5)},
            {"p99_ms", delays_.quantile_ms(0.99)},
            {"client_cpu_us_per_op",
             cpu_us / static_cast<double>(std::max<std::uint64_t>(delays_.count(), 1))},
            {"text_bytes_per_s", static_cast<double>(bytes_) / seconds},
            {"silent", silent}};
  }

private:
  void listen_for(double seconds) {
    const auto until =
      steady::now() + std::chrono::nanoseconds{static_cast<std::int64_t>(seconds * 1e9)};
    while (steady::now() < until)
      poll(10);
  }

  void poll(int wait_ms) {
    const int ready =
      ::epoll_wait(poll_.number(), events_.data(), static_cast<int>(events_.size()), wait_ms);
    for (int i = 0; i < ready; ++i)
      read(subscribers_[events_[static_cast<std::size_t>(i)].data.u64]);
  }

  void read(subscriber& from) {
    std::array<char, 64 << 10> piece;
    const auto got = ::recv(from.socket.number(), piece.data(), piece.size(), 0);
    if (got < 0 && errno == EAGAIN)
      return;
    if (got <= 0)
      give_up("a stream ended: " + from.unread.substr(0, 300));
    if (open_)
      bytes_ += static_cast<std::uint64_t>(got);
    from.unread.append(piece.data(), static_cast<std::size_t>(got));
    std::size_t at = 0;
    for (std::size_t end; (end = from.unread.find("\n\n", at)) != std::string::npos; at = end + 2)
      take(from, std::string_view{from.unread}.substr(at, end - at));
    from.unread.erase(0, at);
    if (from.unread.starts_with("HTTP/1.1 4") || from.unread.starts_with("HTTP/1.1 5"))
      give_up("no stream: " + from.unread.substr(0, 600));
  }

  /// One event, with chunk framing and heads of the response around it.
  void take(subscriber& from, std::string_view event) {
    if (!open_ || event.find("event: text.delta") == std::string_view::npos)
      return;
    static constexpr std::string_view name = "\"at\":\"";
    const auto at = event.find(name);
    if (at == std::string_view::npos)
      return;
    // Stamps are cut to milliseconds, so a delay reads up to one too long.
    delays_.add(wall_now() -
                std::chrono::milliseconds{stamps_.ms_of(event.substr(at + name.size()))});
    ++from.deltas;
  }

  const settings& settings_;
  descriptor poll_;
  std::vector<subscriber> subscribers_;
  std::array<epoll_event, 256> events_{};
  stamp_reader stamps_;
  latency_histogram delays_;
  std::uint64_t bytes_ = 0;
  bool open_ = false;
};

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  using namespace holdfast::bench;
  settings s;
  CLI::App app{"SSE subscribers"};
  app.add_option("--port", s.port)->required();
  app.add_option("--subscribers", s.subscribers);
  app.add_option("--runs", s.runs, "that stream; 0: every path does");
  app.add_option("--type", s.type);
  app.add_option("--seconds", s.seconds);
  app.add_option("--warmup", s.warmup);
  CLI11_PARSE(app, argc, argv);
  std::vector<std::string> runs;
  const auto connection = connect_to(s.port);
  for (std::size_t i = 0; i < s.runs; ++i)
    runs.push_back(start_run(connection, s.type, i));
  subscriber_loop loop{s};
  loop.subscribe(runs);
  std::puts(loop.run().dump().c_str());
  return 0;
}
