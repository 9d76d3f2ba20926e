#pragma once
// An agent's own records, read from a store.

#include "persistence/store.hpp"
#include "runtime/core/records.hpp"
#include "runtime/core/turn_builder.hpp"
#include "schemas/codec.hpp"

namespace holdfast {

/// Borrows the reader. As thread-safe as the reader.
class stored_records final : public agent_records {
public:
  stored_records(const reader& from, group_id group, agent_name name)
    : from_(from), group_(group), name_(std::move(name)) {}

  result<fact> fact_at(seq_no seq) const override;
  result<mailbox_entry> mailbox(std::uint64_t number) const override;
  result<std::string> memory(seq_no seq) const override;
  result<std::vector<message>> messages(std::uint64_t first, std::uint64_t last) const override;

  /// The stored record of the journal that holds this fact.
  result<codec::stored_facts> record_at(seq_no seq) const;

private:
  const reader& from_;
  group_id group_;
  agent_name name_;
};

/// The snapshot of an agent; nothing when it was never addressed. Errors: `corrupt`, `io_failure`.
result<std::optional<agent_state>> load_agent(const reader& from, group_id group,
                                              const agent_name& name);
result<std::optional<run_summary>> load_run(const reader& from, group_id group, const run_id& run);
/// A finished run with its output or error.
result<ended_run> load_end(const reader& from, group_id group, const run_summary& run);

}  // namespace holdfast
