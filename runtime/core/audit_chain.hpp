#pragma once
// The hash chain of the audit log: how an entry follows from the one before, and how a chain is
// checked. Pure; the digest is handed in.

#include <string>
#include <string_view>

#include "persistence/store.hpp"
#include "schemas/audit.hpp"

namespace holdfast {

/// SHA-256: 32 bytes.
using chain_digest = std::string (*)(std::string_view bytes);

/// The entry that follows `head`, with its hash. `at` of the record counts unless it is before the
/// head's: the order of the chain is that of the log.
audit_entry next_entry(const audit_head& head, audit_recorded what, time_us at,
                       chain_digest digest);

/// What the hash of an entry must be.
std::string hash_of(const audit_entry& entry, chain_digest digest);

inline audit_head head_of(const audit_entry& entry) { return {entry.number, entry.at, entry.hash}; }

/// What is wrong with a group's chain; empty when nothing is.
struct chain_report {
  std::uint64_t entries = 0;
  std::string code;    ///< `audit_changed`, `audit_gap`, `audit_cut`, `unreadable`
  std::string detail;  ///< names the entry
};

/// Walks the whole chain. On a running node entries may be added meanwhile.
chain_report check_chain(const reader& records, group_id group, chain_digest digest);

}  // namespace holdfast
