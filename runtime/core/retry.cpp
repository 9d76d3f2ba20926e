#include "runtime/core/retry.hpp"

#include <algorithm>

namespace holdfast {

retry_verdict judge(effect_class cls, failure_kind kind) noexcept {
  switch (kind) {
    case failure_kind::not_sent:
    case failure_kind::throttled:
      return retry_verdict::retry;
    case failure_kind::transient:
    case failure_kind::cancelled:
      return cls == effect_class::write ? retry_verdict::unknown : retry_verdict::retry;
    case failure_kind::none:
    case failure_kind::rejected:
      return retry_verdict::give_up;
  }
  return retry_verdict::give_up;
}

std::int64_t backoff_ms(const retry_policy& policy, std::uint32_t attempt, std::int64_t asked_ms,
                        std::uint64_t random) noexcept {
  constexpr std::int64_t asked_ms_max = 3'600'000;
  std::int64_t wait = std::max<std::int64_t>(policy.backoff_ms, 1);
  for (std::uint32_t i = 2; i < attempt && wait < policy.backoff_ms_max; ++i)
    wait *= 2;
  wait = std::min(wait, std::max<std::int64_t>(policy.backoff_ms_max, 1));
  const std::int64_t half = wait / 2;
  wait = half + static_cast<std::int64_t>(random % static_cast<std::uint64_t>(wait - half + 1));
  return std::max(wait, std::min(asked_ms, asked_ms_max));
}

}  // namespace holdfast
