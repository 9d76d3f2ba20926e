#include "cluster/group_proposals.hpp"

#include "persistence/commit_log.hpp"

namespace holdfast {

group_proposals::entry group_proposals::pack(std::size_t bytes_max) const {
  entry out;
  for (const auto& one : waiting_) {
    if (!out.records.empty() &&
        (out.bytes + one.bytes > bytes_max || cut_epoch(*out.records.back()) != 0))
      break;
    out.records.push_back(one.record);
    out.bytes += one.bytes;
  }
  return out;
}

void group_proposals::appended(std::uint64_t index, entry packed) {
  const auto count = static_cast<std::ptrdiff_t>(packed.records.size());
  waiting_.erase(waiting_.begin(), waiting_.begin() + count);
  appended_.emplace(index, std::move(packed));
}

std::optional<group_proposals::entry> group_proposals::take(std::uint64_t index) {
  auto found = appended_.extract(index);
  return found ? std::optional{std::move(found.mapped())} : std::nullopt;
}

group_proposals::dropped group_proposals::drop_waiting(std::uint64_t but_term) {
  dropped out;
  for (auto& one : std::exchange(waiting_, {})) {
    if (but_term != 0 && one.term == but_term) {
      waiting_.push_back(std::move(one));
      continue;
    }
    ++out.records;
    out.bytes += one.bytes;
  }
  return out;
}

group_proposals::dropped group_proposals::drop_all() {
  auto out = drop_waiting(0);
  for (const auto& [index, one] : std::exchange(appended_, {})) {
    out.records += one.records.size();
    out.bytes += one.bytes;
  }
  return out;
}

}  // namespace holdfast
