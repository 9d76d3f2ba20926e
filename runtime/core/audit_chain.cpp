#include "runtime/core/audit_chain.hpp"

#include <algorithm>

#include "persistence/keys.hpp"
#include "schemas/codec.hpp"

namespace holdfast {

std::string hash_of(const audit_entry& entry, chain_digest digest) {
  audit_entry unsealed = entry;
  unsealed.hash.clear();
  return digest(codec::encode(unsealed));
}

audit_entry next_entry(const audit_head& head, audit_recorded what, time_us at,
                       chain_digest digest) {
  audit_entry out;
  out.number = head.number + 1;
  out.at = std::max(head.at, at);
  out.what = std::move(what);
  out.previous = head.hash;
  out.hash = hash_of(out, digest);
  return out;
}

namespace {

std::string entry_name(std::uint64_t number) { return "entry " + std::to_string(number); }

/// Nothing wrong: empty.
chain_report check_link(const audit_head& before, const audit_entry& entry, chain_digest digest) {
  if (entry.number != before.number + 1)
    return {0, "audit_gap",
            entry_name(before.number + 1) + " is missing: " + entry_name(entry.number) +
              " comes behind " + std::to_string(before.number)};
  if (entry.previous != before.hash)
    return {0, "audit_changed",
            entry_name(entry.number) + " does not follow from the one before: one of them changed"};
  if (entry.hash != hash_of(entry, digest))
    return {0, "audit_changed", entry_name(entry.number) + " is not what was written"};
  return {};
}

}  // namespace

chain_report check_chain(const reader& records, group_id group, chain_digest digest) {
  // Read before the walk: the walk sees everything up to here.
  const auto bytes = records.get(family::meta, keys::audit_head(group));
  audit_head kept;
  if (bytes && *bytes) {
    auto decoded = codec::decode_audit_head(**bytes);
    if (!decoded)
      return {0, "unreadable", "where its audit log ends cannot be read"};
    kept = std::move(*decoded);
  }
  if (!bytes)
    return {0, "unreadable", "where its audit log ends cannot be read"};
  chain_report out;
  audit_head head;
  bool met = kept.number == 0;
  const auto range = keys::audits(group);
  const auto at = records.scan(family::audit, range.lower, range.upper);
  for (; at->valid(); at->next()) {
    const auto entry = codec::decode_audit_entry(at->value());
    if (!entry)
      return {out.entries, "unreadable",
              "the audit log cannot be read behind " + entry_name(head.number)};
    if (auto wrong = check_link(head, *entry, digest); !wrong.code.empty()) {
      wrong.entries = out.entries;
      return wrong;
    }
    head = head_of(*entry);
    met = met || head == kept;
    ++out.entries;
  }
  if (const auto walked = at->state(); !walked)
    return {out.entries, "unreadable", "the audit log cannot be read: " + walked.error().context};
  if (!met)
    return {out.entries, "audit_cut",
            "the audit log ends at " + entry_name(head.number) + ", and " +
              entry_name(kept.number) + " was written"};
  return out;
}

}  // namespace holdfast
