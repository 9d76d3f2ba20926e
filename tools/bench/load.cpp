#include "tools/bench/load.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <tuple>
#include <vector>

#include "tools/bench/socket.hpp"

namespace holdfast::bench {

namespace {

constexpr int wait_ms_max = 200;
constexpr std::chrono::seconds silence_max{20};

constexpr std::size_t agent_digits = 8;
constexpr std::size_t serial_digits = 10;

/// One connection with at most one request outstanding.
struct client {
  descriptor socket;
  steady::time_point sent_at;
  answer_reader answer;
};

class load_loop {
public:
  explicit load_loop(const load_options& options)
    : options_(options), requests_(options.requests), poll_(::epoll_create1(EPOLL_CLOEXEC)) {
    clients_.reserve(options.clients);
    for (std::size_t i = 0; i < options.clients; ++i) {
      clients_.push_back({connect_to(options.port), {}, {}});
      epoll_event wanted{};
      wanted.events = EPOLLIN;
      wanted.data.u64 = i;
      ::epoll_ctl(poll_.number(), EPOLL_CTL_ADD, clients_.back().socket.number(), &wanted);
    }
  }

  load_result run() {
    const bool counted = options_.requests_max != 0;
    const auto started = steady::now();
    const auto opens = counted ? started : started + options_.warmup;
    const auto closes = opens + options_.length;
    bool open = counted;
    if (open)
      say_window(true);
    for (auto& c : clients_)
      send_next(c);
    auto last_answer = started;
    auto opened_at = started;
    for (;;) {
      const int ready =
        ::epoll_wait(poll_.number(), events_.data(), static_cast<int>(events_.size()), wait_ms_max);
      for (int i = 0; i < ready; ++i) {
        auto& c = clients_[events_[static_cast<std::size_t>(i)].data.u64];
        if (!c.answer.read(c.socket.number()))
          continue;
        last_answer = steady::now();
        if (open)
          note(c, last_answer);
        c.answer.clear();
        --outstanding_;
        if (!counted || sent_ < options_.requests_max)
          send_next(c);
      }
      const auto now = steady::now();
      if (now > last_answer + silence_max)
        give_up("no answer for 20 s");
      if (counted ? outstanding_ == 0 : open && now >= closes) {
        say_window(false);
        result_.seconds = std::chrono::duration<double>(now - opened_at).count();
        return std::move(result_);
      }
      if (!open && now >= opens) {
        open = true;
        opened_at = now;
        say_window(true);
      }
    }
  }

private:
  void send_next(client& c) {
    const auto& text = requests_.with(options_.agent_first + sent_ % options_.agents, sent_);
    ++sent_;
    ++outstanding_;
    c.sent_at = steady::now();
    send_all(c.socket.number(), text);
  }

  void note(const client& c, steady::time_point now) {
    if (c.answer.status() == options_.expected_status) {
      ++result_.answered;
      result_.latency.add(now - c.sent_at);
      return;
    }
    ++result_.refused;
    if (result_.first_refusal.empty())
      result_.first_refusal = std::string{c.answer.head().substr(0, c.answer.head().find("\r\n"))} +
                              " " + std::string{c.answer.body().substr(0, 300)};
  }

  const load_options& options_;
  request_template requests_;
  descriptor poll_;
  std::vector<client> clients_;
  std::array<epoll_event, 256> events_{};
  std::uint64_t sent_ = 0;
  std::uint64_t outstanding_ = 0;
  load_result result_;
};

}  // namespace

bool answer_reader::read(int socket) {
  std::array<char, 16 << 10> piece;
  const auto got = ::recv(socket, piece.data(), piece.size(), 0);
  if (got == 0)
    give_up("the server closed a connection");
  if (got < 0) {
    if (errno == EAGAIN)
      return false;
    give_up(std::string{"cannot receive: "} + std::strerror(errno));
  }
  bytes_.append(piece.data(), static_cast<std::size_t>(got));
  if (wanted_ == 0) {
    const auto end = bytes_.find("\r\n\r\n");
    if (end == std::string::npos)
      return false;
    static constexpr std::string_view name = "Content-Length: ";
    const auto at = bytes_.find(name);
    if (at == std::string::npos || at > end)
      give_up("an answer without Content-Length");
    std::size_t body_bytes = 0;
    std::from_chars(bytes_.data() + at + name.size(), bytes_.data() + end, body_bytes);
    head_bytes_ = end + 4;
    wanted_ = head_bytes_ + body_bytes;
  }
  return bytes_.size() >= wanted_;
}

int answer_reader::status() const {
  int number = 0;
  if (bytes_.size() > 12)
    std::from_chars(bytes_.data() + 9, bytes_.data() + 12, number);
  return number;
}

std::string_view answer_reader::head() const {
  return std::string_view{bytes_}.substr(0, head_bytes_);
}

std::string_view answer_reader::body() const {
  return std::string_view{bytes_}.substr(head_bytes_);
}

void answer_reader::clear() {
  bytes_.clear();
  wanted_ = 0;
}

request_template request_template::post(std::string path, std::string body) {
  static constexpr std::string_view agent = "{agent}";
  static constexpr std::string_view serial = "{serial}";
  // The length of the body is needed before its text: digits first, places found afterwards by a mark.
  const auto mark = [](std::string& text) {
    for (const auto& [name, digits, c] :
         {std::tuple{agent, agent_digits, '\1'}, std::tuple{serial, serial_digits, '\2'}})
      for (auto at = text.find(name); at != std::string::npos; at = text.find(name))
        text.replace(at, name.size(), digits, c);
  };
  mark(path);
  mark(body);
  request_template out;
  out.text_ = "POST " + path +
              " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body;
  for (std::size_t at = 0; (at = out.text_.find_first_of("\1\2", at)) != std::string::npos;) {
    out.places_.push_back({at, out.text_[at] == '\1' ? agent_digits : serial_digits});
    at += out.places_.back().digits;
  }
  return out;
}

const std::string& request_template::with(std::uint64_t agent, std::uint64_t serial) {
  for (const auto& one : places_) {
    auto number = one.digits == agent_digits ? agent : serial;
    for (std::size_t i = one.digits; i-- > 0; number /= 10)
      text_[one.at + i] = static_cast<char>('0' + number % 10);
  }
  return text_;
}

load_result run_load(const load_options& options) { return load_loop{options}.run(); }

}  // namespace holdfast::bench
