#include "tools/holdfast/progress_line.hpp"

#include <array>
#include <utility>

namespace holdfast::cli {

namespace {

constexpr std::chrono::milliseconds in_place_interval{500};
constexpr std::chrono::seconds line_interval{10};

}  // namespace

std::string size_text(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> units{" B", " kB", " MB", " GB", " TB"};
  constexpr std::size_t first_with_tenths = 3;
  std::uint64_t unit = 1;
  std::size_t at = 0;
  const auto whole = [&] { return (bytes + unit / 2) / unit; };
  for (; whole() >= 1'000 && at + 1 < units.size(); ++at)
    unit *= 1'000;
  if (at < first_with_tenths)
    return std::to_string(whole()) + units[at];
  const auto tenths = (bytes + unit / 20) / (unit / 10);
  return std::to_string(tenths / 10) + '.' + std::to_string(tenths % 10) + units[at];
}

std::string progress_text(const work_progress& now) {
  auto out = std::string{now.done} + ' ';
  if (now.partitions_all > 0)
    out += std::to_string(now.partitions) + " of " + std::to_string(now.partitions_all) +
           " partitions, ";
  out += size_text(now.bytes);
  if (now.bytes_all > 0)
    out += " of " + size_text(now.bytes_all);
  return out;
}

progress_line::progress_line(console& out, std::function<clock::time_point()> now)
  : out_(out), now_(std::move(now)), said_at_(now_()) {}

void progress_line::show(const work_progress& at) {
  const auto now = now_();
  const bool terminal = out_.settings().talk_is_terminal;
  if (now - said_at_ < (terminal ? clock::duration{in_place_interval} : line_interval))
    return;
  said_at_ = now;
  in_place_ = terminal;
  if (terminal)
    out_.say_in_place(progress_text(at));
  else
    out_.say(progress_text(at));
}

void progress_line::end() {
  if (std::exchange(in_place_, false))
    out_.say_in_place({});
}

}  // namespace holdfast::cli
