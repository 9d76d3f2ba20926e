#include "runtime/core/stored_records.hpp"

#include "persistence/keys.hpp"

namespace holdfast {

namespace {

error missing(const agent_name& name, const std::string& what) {
  return {errc::corrupt, what + " of " + to_string(name) + " is missing"};
}

}  // namespace

result<codec::stored_facts> stored_records::record_at(seq_no seq) const {
  const auto range = keys::numbered_range(group_, name_, 0, seq + 1);
  const auto at = from_.scan(family::journal, range.lower, range.upper, true);
  if (!at->valid()) {
    if (auto walked = at->state(); !walked)
      return walked.error();
    return missing(name_, "fact " + std::to_string(seq));
  }
  return codec::decode_facts(at->value());
}

result<fact> stored_records::fact_at(seq_no seq) const {
  auto record = record_at(seq);
  if (!record)
    return record.error();
  for (auto& one : record->facts)
    if (one.seq == seq)
      return std::move(one.fact);
  return missing(name_, "fact " + std::to_string(seq));
}

result<mailbox_entry> stored_records::mailbox(std::uint64_t number) const {
  auto bytes = from_.get(family::mailbox, keys::numbered(group_, name_, number));
  if (!bytes)
    return bytes.error();
  if (!*bytes)
    return missing(name_, "mailbox entry " + std::to_string(number));
  return codec::decode_mailbox_entry(**bytes);
}

result<std::string> stored_records::memory(seq_no seq) const {
  auto bytes = from_.get(family::memory, keys::numbered(group_, name_, seq));
  if (!bytes)
    return bytes.error();
  if (!*bytes)
    return missing(name_, "memory " + std::to_string(seq));
  auto facts = codec::decode_facts(**bytes);
  if (!facts)
    return facts.error();
  if (facts->facts.size() == 1)
    if (auto* changed = std::get_if<state_changed>(&facts->facts.front().fact))
      return std::move(changed->memory);
  return missing(name_, "memory " + std::to_string(seq));
}

result<std::vector<message>> stored_records::messages(std::uint64_t first,
                                                      std::uint64_t last) const {
  std::vector<message> out;
  const auto range = keys::numbered_range(group_, name_, first, last);
  auto at = from_.scan(family::message, range.lower, range.upper);
  for (; at->valid(); at->next()) {
    auto facts = codec::decode_facts(at->value());
    if (!facts)
      return facts.error();
    for (auto& one : facts->facts)
      if (auto* appended = std::get_if<message_appended>(&one.fact))
        out.push_back(std::move(appended->message));
  }
  if (auto walked = at->state(); !walked)
    return walked.error();
  if (out.size() != last - first)
    return missing(name_,
                   "a message between " + std::to_string(first) + " and " + std::to_string(last));
  return out;
}

result<std::optional<agent_state>> load_agent(const reader& from, group_id group,
                                              const agent_name& name) {
  auto bytes = from.get(family::snapshot, keys::agent(group, name));
  if (!bytes)
    return bytes.error();
  if (!*bytes)
    return std::optional<agent_state>{};
  auto state = codec::decode_agent_state(**bytes);
  if (!state)
    return state.error();
  return std::optional<agent_state>{std::move(*state)};
}

result<std::optional<run_summary>> load_run(const reader& from, group_id group, const run_id& run) {
  auto bytes = from.get(family::run, keys::by_id(group, run.id));
  if (!bytes)
    return bytes.error();
  if (!*bytes)
    return std::optional<run_summary>{};
  auto summary = codec::decode_run(**bytes);
  if (!summary)
    return summary.error();
  return std::optional<run_summary>{std::move(*summary)};
}

result<ended_run> load_end(const reader& from, group_id group, const run_summary& run) {
  ended_run end{run, {}, {}};
  auto last = stored_records{from, group, run.agent}.fact_at(run.ended_seq);
  if (!last)
    return last.error();
  if (auto* completed = std::get_if<run_completed>(&*last))
    end.output = std::move(completed->output);
  else if (auto* failed = std::get_if<run_failed>(&*last))
    end.error = std::move(failed->error);
  else if (auto* cancelled = std::get_if<run_cancelled>(&*last))
    end.error = {"cancelled", std::move(cancelled->reason), 0, false};
  else
    return missing(run.agent, "the end of " + to_string(run.id));
  return end;
}

}  // namespace holdfast
