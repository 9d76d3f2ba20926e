#pragma once
// How far long work has come, as talk: on a terminal one line in its place, else a line now and then, for logs.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "tools/holdfast/console.hpp"

namespace holdfast::cli {

struct work_progress {
  std::string_view done;  ///< to them: `restored`
  std::size_t partitions = 0;
  std::size_t partitions_all = 0;  ///< 0: not known
  std::uint64_t bytes = 0;
  std::uint64_t bytes_all = 0;  ///< 0: not known
};

/// `310 MB`, `1.2 GB`: powers of 1000. Pure.
std::string size_text(std::uint64_t bytes);

/// `restored 12 of 25 partitions, 310 MB of 1.2 GB`, or what is known of that. Pure.
std::string progress_text(const work_progress& now);

/// Says it at most twice a second, or every ten where talk is no terminal; work that is over sooner says nothing. Any
/// thread, one at a time. The console outlives it.
class progress_line {
public:
  using clock = std::chrono::steady_clock;
  explicit progress_line(console& out, std::function<clock::time_point()> now = clock::now);
  ~progress_line() { end(); }
  progress_line(const progress_line&) = delete;
  progress_line& operator=(const progress_line&) = delete;

  void show(const work_progress& at);
  /// Takes the line from the terminal, for what is said next.
  void end();

private:
  console& out_;
  const std::function<clock::time_point()> now_;
  clock::time_point said_at_;
  bool in_place_ = false;
};

}  // namespace holdfast::cli
