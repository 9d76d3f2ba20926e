#pragma once
// Proves that nothing is silently stuck (promise P5): every agent is idle, or waits for something
// that is on disk; and nothing on disk waits for an agent that does not know of it. Reads only; for
// running nodes and for stopped folders.

#include <cstdint>
#include <string>
#include <vector>

#include "persistence/store.hpp"
#include "runtime/core/audit_chain.hpp"
#include "schemas/ids.hpp"

namespace holdfast {

struct doctor_finding {
  std::string code;     ///< snake_case: `timer_missing`
  std::string subject;  ///< what it is about: `type/key`, or `partition 3`
  std::string detail;
  std::string command;  ///< what to do about it
  bool operator==(const doctor_finding&) const = default;
};

struct doctor_report {
  std::uint64_t agents = 0;
  std::uint64_t waiting_events = 0;
  std::uint64_t open_effects = 0;
  std::uint64_t timers = 0;
  std::uint64_t messages = 0;  ///< in outboxes
  std::uint64_t audited = 0;   ///< entries of the audit log
  std::vector<doctor_finding> findings;
  bool more = false;  ///< there were more than `doctor_findings_max`
};

inline constexpr std::size_t doctor_findings_max = 1'000;

/// Looks at everything once. On a running node an agent may move while it is looked at: what seems
/// wrong is looked at again until the agent stood still for a whole look. `partitions`: groups 1 …
/// partitions. `digest`: SHA-256; null: the audit log is not looked at.
doctor_report examine_records(const reader& records, std::uint16_t partitions,
                              chain_digest digest = nullptr);

/// The same as a JSON document of kind `doctor`.
std::string examine(const reader& records, std::uint16_t partitions, chain_digest digest = nullptr);

}  // namespace holdfast
