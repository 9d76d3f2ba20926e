#pragma once
// The audit log as it is stored: one chain per group. Every entry carries the hash of the one
// before it, so that a changed, missing or inserted entry shows.

#include <string>

#include "schemas/fact.hpp"

namespace holdfast {

struct audit_entry {
  std::uint64_t number = 0;  ///< within its group: from 1, without gaps
  time_us at = 0;            ///< of the record, never before the entry in front of it
  audit_recorded what;
  std::string previous;  ///< SHA-256 of the entry before, 32 bytes; empty for the first
  std::string hash;      ///< SHA-256 of this entry's bytes as stored, but with this member empty
  bool operator==(const audit_entry&) const = default;
};

/// Where a group's chain ends.
struct audit_head {
  std::uint64_t number = 0;  ///< 0: there is no entry yet
  time_us at = 0;
  std::string hash;
  bool operator==(const audit_head&) const = default;
};

}  // namespace holdfast
