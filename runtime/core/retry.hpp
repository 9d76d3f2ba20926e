#pragma once
// When a failed attempt is made again (DESIGN §3 "Effects"). Pure.

#include <cstdint>

#include "schemas/definition.hpp"

namespace holdfast {

enum class retry_verdict : std::uint8_t { retry, unknown, give_up };

/// What follows from an attempt of this class that failed in this way.
retry_verdict judge(effect_class cls, failure_kind kind) noexcept;

/// The wait before attempt `attempt` (2, 3 …) in ms: doubles from `backoff_ms`, at most `backoff_ms_max`, then "equal
/// jitter": half fixed, half random (AWS Architecture Blog, "Exponential Backoff and Jitter"). Never shorter than
/// `asked_ms`, what the other side asked for, itself bounded by an hour.
std::int64_t backoff_ms(const retry_policy& policy, std::uint32_t attempt, std::int64_t asked_ms,
                        std::uint64_t random) noexcept;

}  // namespace holdfast
