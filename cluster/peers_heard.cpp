#include "cluster/peers_heard.hpp"

#include <algorithm>
#include <vector>

namespace holdfast {

namespace {

constexpr std::int64_t status_ms_max = 2'500;  // then what a peer said is old

}  // namespace

void peers_heard::take(std::string_view node, link::node_status&& said, std::int64_t now_ms,
                       time_us wall_now) {
  const std::lock_guard lock{mutex_};
  for (const auto& led : said.leaders)
    terms_[led.group] = std::max(terms_[led.group], led.term);
  const auto ahead = said.at - wall_now;
  heard_[std::string{node}] = {std::move(said), now_ms, ahead};
}

void peers_heard::forget(std::string_view node) {
  const std::lock_guard lock{mutex_};
  if (const auto found = heard_.find(node); found != heard_.end())
    heard_.erase(found);
}

peers_heard::table peers_heard::all() const {
  const std::lock_guard lock{mutex_};
  return heard_;
}

peers_heard::table peers_heard::fresh(std::int64_t now_ms) const {
  auto out = all();
  std::erase_if(out, [&](const auto& peer) { return now_ms - peer.second.at_ms > status_ms_max; });
  return out;
}

std::uint64_t peers_heard::term_of(group_id group) const {
  const std::lock_guard lock{mutex_};
  const auto known = terms_.find(group);
  return known == terms_.end() ? 0 : known->second;
}

bool peers_heard::have_definitions(std::uint64_t index, std::int64_t now_ms) const {
  const std::lock_guard lock{mutex_};
  return std::all_of(heard_.begin(), heard_.end(), [&](const auto& peer) {
    return now_ms - peer.second.at_ms > status_ms_max || peer.second.status.definitions >= index;
  });
}

time_us peers_heard::clock_off_us() const {
  std::vector<time_us> ahead{0};
  const std::lock_guard lock{mutex_};
  for (const auto& [name, peer] : heard_)
    ahead.push_back(peer.ahead_us);
  if (ahead.size() < 3)
    return 0;
  const auto middle = ahead.begin() + static_cast<std::ptrdiff_t>(ahead.size() / 2);
  std::nth_element(ahead.begin(), middle, ahead.end());
  return std::abs(*middle);
}

}  // namespace holdfast
