#pragma once
// Who is meant: agents, and the ids that Holdfast issues. Every issued id contains its partition and sorts by time.

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "schemas/error.hpp"

namespace holdfast {

/// Microseconds since 1970-01-01T00:00:00Z, as stamped by a leader into records.
using time_us = std::int64_t;

/// Number of a log group: 0 holds definitions and the like, partition p lives in group p + 1.
using group_id = std::uint16_t;
inline constexpr group_id catalog_group = 0;
inline constexpr std::uint16_t partitions_default = 24;

/// Position of a fact in its agent's history: from 1, in order, without gaps.
using seq_no = std::uint64_t;

/// An agent's address, `type/key`.
struct agent_name {
  std::string type;
  std::string key;
  auto operator<=>(const agent_name&) const = default;
  bool operator==(const agent_name&) const = default;
  bool empty() const noexcept { return type.empty(); }
};

std::string to_string(const agent_name& name);

/// Splits at the first `/` and checks both halves. Errors: `malformed`, `invalid_key`.
result<agent_name> parse_agent_name(std::string_view text);

/// 1–256 bytes of UTF-8 without control characters. Errors: `invalid_key`.
status check_key(std::string_view key);

/// `[a-z][a-z0-9-]{0,62}`.
bool is_valid_type(std::string_view type) noexcept;

/// XXH64 of `type/key` with seed 0, modulo `partitions`, plus 1. Pinned by a golden test: it never changes.
group_id group_of(const agent_name& name, std::uint16_t partitions);

/// The group of any other name that must land always in the same place (an idempotency scope, a source and id).
group_id group_of(std::string_view name, std::uint16_t partitions);

/// XXH64 with seed 0 of `type/key`.
std::uint64_t hash_of(const agent_name& name) noexcept;

/// 16 bytes, big-endian: time in µs (8) ‖ group (2) ‖ low 32 bits of the owner's hash (4) ‖ low 16 bits of a number
/// that differs between ids of one owner in one microsecond (2). Comparing bytes compares time first.
struct sortable_id {
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(const sortable_id&) const = default;
  bool empty() const noexcept { return *this == sortable_id{}; }
  time_us time() const noexcept;
  group_id group() const noexcept;
  std::uint32_t owner() const noexcept;
  std::uint16_t number() const noexcept;
  std::string_view view() const noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

sortable_id make_id(time_us at, group_id group, std::uint64_t owner_hash,
                    std::uint64_t number) noexcept;
sortable_id id_from_bytes(std::string_view sixteen) noexcept;  // zero when the size is not 16

/// 26 characters of Crockford's base 32 (lower case), most significant first, so that text sorts like bytes.
std::string to_text(const sortable_id& id);
result<sortable_id> id_from_text(std::string_view text);

template <class Tag>
struct strong_id {
  sortable_id id;
  auto operator<=>(const strong_id&) const = default;
  bool empty() const noexcept { return id.empty(); }
};
using event_id = strong_id<struct event_id_tag>;
using run_id = strong_id<struct run_id_tag>;

/// `evt_…`, `run_…`.
std::string to_string(const event_id& id);
std::string to_string(const run_id& id);
/// Errors: `malformed`.
result<event_id> parse_event_id(std::string_view text);
result<run_id> parse_run_id(std::string_view text);

/// One effect of one run. Text: `eff_<run part>_<no>`.
struct effect_id {
  run_id run;
  std::uint32_t no = 0;
  auto operator<=>(const effect_id&) const = default;
};
std::string to_string(const effect_id& id);
result<effect_id> parse_effect_id(std::string_view text);

/// What goes out as `Idempotency-Key`: `type/key/run_…/no`, the same on every attempt, restart and node.
std::string idempotency_key(const agent_name& agent, const effect_id& id);

/// A 16 byte digest (XXH3-128 of the parts, each with its length): for comparing, not against an attacker.
struct digest128 {
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(const digest128&) const = default;
  bool empty() const noexcept { return *this == digest128{}; }
  std::string_view view() const noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};
digest128 digest_of(std::initializer_list<std::string_view> parts) noexcept;
digest128 digest_from_bytes(std::string_view sixteen) noexcept;
std::string to_hex(const digest128& digest);

}  // namespace holdfast

template <>
struct std::hash<holdfast::agent_name> {
  std::size_t operator()(const holdfast::agent_name& name) const noexcept {
    return static_cast<std::size_t>(holdfast::hash_of(name));
  }
};
template <>
struct std::hash<holdfast::run_id> {
  std::size_t operator()(const holdfast::run_id& run) const noexcept {
    std::size_t h = 1469598103934665603ULL;
    for (auto byte : run.id.bytes)
      h = (h ^ byte) * 1099511628211ULL;
    return h;
  }
};
