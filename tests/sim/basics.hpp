#pragma once
// What every part of the simulator needs: one source of chance, a failure that ends the seed,
// counters.

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/fact.hpp"

namespace holdfast::sim {

/// What a test run takes when it is not told otherwise: a minute or two of one core.
#if defined(__SANITIZE_THREAD__)
inline constexpr std::uint64_t seeds_default = 50;
#elif defined(__SANITIZE_ADDRESS__)
inline constexpr std::uint64_t seeds_default = 150;
#else
inline constexpr std::uint64_t seeds_default = 2'000;
#endif

/// The only source of chance of a seed (splitmix64; Steele, Lea, Flood 2014).
class random_source {
public:
  explicit random_source(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ULL + 1) {}
  std::uint64_t next() noexcept {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t n) noexcept { return next() % n; }
  std::int64_t between(std::int64_t low, std::int64_t high) noexcept {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low + 1)));
  }
  bool chance(unsigned per_mille) noexcept { return below(1'000) < per_mille; }
  template <class T>
  T& pick(std::vector<T>& from) noexcept {
    return from[below(from.size())];
  }
  template <class T>
  const T& pick(const std::vector<T>& from) noexcept {
    return from[below(from.size())];
  }

private:
  std::uint64_t state_;
};

/// A promise was broken.
struct failure_found : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class... Parts>
void require(bool ok, const Parts&... parts) {
  if (ok) [[likely]]
    return;
  std::string text;
  (text.append(parts), ...);
  throw failure_found{text};
}

/// Takes a pending thing out of its list, in no order.
template <class T>
T take_from(std::vector<T>& list, std::size_t at) {
  T out = std::move(list[at]);
  if (at + 1 != list.size())
    list[at] = std::move(list.back());
  list.pop_back();
  return out;
}

enum class fault : std::uint8_t {
  mail_lost,
  mail_twice,
  receipt_lost,
  log_overloaded,
  log_not_leader,
  log_unknown_applied,
  log_unknown_dropped,
  write_refused,
  sync_failed_lost,
  sync_failed_kept,
  leader_lost_applied,
  leader_lost_dropped,
  crash,
  crash_in_handler,
  clock_back,
  clock_far_ahead,
  spurious_tick,
  handler_throws,
  effect_not_sent,
  effect_throttled,
  effect_transient,
  effect_rejected,
  effect_never_answers,
  effect_answers_late,
  effect_answers_twice,
  effect_performed_for_nobody,
  model_costs_more,
  request_repeated,
  request_lost,
};
inline constexpr std::size_t fault_count = 29;
std::string_view name_of(fault what) noexcept;
/// An empty fact of this alternative.
fact fact_at_index(std::size_t index);

/// Defects that a test puts in on purpose, at the seams around the core; the simulator must find
/// each.
enum class defect : std::uint8_t {
  none,
  effect_before_commit,
  ack_before_commit,
  lost_dedup_record,
  in_flight_dedup_forgotten,
  timer_key_lost,
  timer_key_kept,
  outbox_renumbered,
  inbound_ack_lost,
  inbound_dedup_lost,
  evolve_skips_fact,
  entry_applied_twice,
  recovery_restarts_writes,
  unsynced_commit,
  reservation_kept,
  wake_lost,
  committed_turn_forgotten,
  mail_without_epoch,
  receipt_without_epoch,
};
inline constexpr std::size_t defect_count = 19;
std::string_view name_of(defect what) noexcept;

/// What a run of seeds has seen.
struct coverage {
  std::array<std::uint64_t, std::variant_size_v<fact>> facts{};
  std::array<std::uint64_t, fault_count> faults{};
  std::array<std::uint64_t, 16> requests{};  ///< by `request_kind`
  std::array<std::uint64_t, 8> verbs{};      ///< by `control_verb`
  std::uint64_t steps = 0;
  std::uint64_t commands = 0;  ///< decided by agents
  std::uint64_t records = 0;
  std::uint64_t agents = 0;
  std::uint64_t runs = 0;
  std::uint64_t cuts = 0;  ///< of all groups, and looked at

  void count(fault what) noexcept { ++faults[static_cast<std::size_t>(what)]; }
};

}  // namespace holdfast::sim
