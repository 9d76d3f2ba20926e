#include "cluster/definition_barrier.hpp"

#include <algorithm>

namespace holdfast {

void definition_barrier::read(std::uint64_t index) noexcept {
  read_ = std::max(index, read_.load());
  --pending_;
}

std::uint64_t definition_barrier::read_up_to(std::uint64_t applied) const noexcept {
  return pending_ == 0 ? applied : read_.load();
}

void definition_barrier::wait(std::uint64_t index, std::int64_t now_ms,
                              std::function<void()> then) {
  const std::lock_guard lock{mutex_};
  waiting_.push_back({index, now_ms + wait_ms_max, std::move(then)});
}

void definition_barrier::tick(std::int64_t now_ms, const peers_heard& heard) {
  std::vector<std::function<void()>> told;
  {
    const std::lock_guard lock{mutex_};
    std::erase_if(waiting_, [&](auto& one) {
      const bool everywhere = heard.have_definitions(one.index, now_ms);
      if (now_ms < one.deadline_ms && !everywhere)
        return false;
      late_ += everywhere ? 0U : 1U;
      told.push_back(std::move(one.then));
      return true;
    });
  }
  for (const auto& then : told)
    then();
}

}  // namespace holdfast
