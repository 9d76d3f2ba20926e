#include "tools/bench/closed_loop.hpp"

#include <deque>

namespace holdfast::bench {

loop_result run_closed_loop(std::uint32_t slots, std::size_t outstanding,
                            std::chrono::nanoseconds warmup, std::chrono::nanoseconds length,
                            const std::function<void(std::uint32_t)>& start, completions& done,
                            const std::function<void()>& on_open) {
  std::vector<steady::time_point> started_at(slots);
  std::deque<std::uint32_t> free;
  for (std::uint32_t i = 0; i < slots; ++i)
    free.push_back(i);
  const auto start_one = [&] {
    const auto slot = free.front();
    free.pop_front();
    started_at[slot] = steady::now();
    start(slot);
  };
  loop_result out;
  const auto opens = steady::now() + warmup;
  const auto closes = opens + length;
  auto opened_at = opens;
  bool open = false;
  std::size_t under_way = 0;
  for (; under_way < outstanding; ++under_way)
    start_one();
  std::vector<std::uint32_t> ended;
  bool closed = false;
  while (under_way != 0) {
    done.take(ended);
    const auto now = steady::now();
    if (!open && now >= opens) {
      open = true;
      opened_at = now;
      on_open();
    } else if (open && !closed) {
      for (const auto slot : ended)
        out.latency.add(now - started_at[slot]);
      out.operations += ended.size();
      closed = now >= closes;
      if (closed)
        out.seconds = std::chrono::duration<double>(now - opened_at).count();
    }
    for (const auto slot : ended) {
      free.push_back(slot);
      if (closed)
        --under_way;
      else
        start_one();
    }
  }
  return out;
}

}  // namespace holdfast::bench
