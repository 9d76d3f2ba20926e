#pragma once
// Closed-loop HTTP load: so many connections, each with one request outstanding, from one thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tools/bench/latency.hpp"

namespace holdfast::bench {

/// A rendered request in which only digits change.
class request_template {
public:
  /// In path and body, `{agent}` becomes the agent's number in 8 digits and `{serial}` the request's in 10.
  static request_template post(std::string path, std::string body);
  /// Valid until the next call.
  const std::string& with(std::uint64_t agent, std::uint64_t serial);

private:
  struct place {
    std::size_t at;
    std::size_t digits;
  };
  std::string text_;
  std::vector<place> places_;
};

/// An answer as it comes in: complete when head and Content-Length say so.
class answer_reader {
public:
  /// Reads what there is. True when the answer is complete. Ends the program when the connection is closed.
  bool read(int socket);
  int status() const;
  std::string_view head() const;
  std::string_view body() const;
  void clear();

private:
  std::string bytes_;
  std::size_t head_bytes_ = 0;
  std::size_t wanted_ = 0;  // head and body; 0: the head is not complete
};

struct load_options {
  std::uint16_t port = 0;
  std::size_t clients = 1;
  std::chrono::nanoseconds warmup{0};
  std::chrono::nanoseconds length{0};
  std::uint64_t requests_max = 0;  ///< not 0: ends after so many; warm-up and length do not count
  int expected_status = 202;
  request_template requests;
  std::uint64_t agents = 1;  ///< their numbers go round
  std::uint64_t agent_first = 0;
};

struct load_result {
  std::uint64_t answered = 0;  ///< within the window, with the expected status
  std::uint64_t refused = 0;   ///< within the window, with another one
  double seconds = 0;
  latency_histogram latency;
  std::string first_refusal;  ///< status line and body
};

load_result run_load(const load_options& options);

}  // namespace holdfast::bench
