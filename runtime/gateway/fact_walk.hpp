#pragma once
// An agent's facts in order, put together again from the families that keep them. Reads only.

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "persistence/store.hpp"
#include "schemas/codec.hpp"

namespace holdfast {

/// True for the facts that are kept in the journal.
bool is_journal_fact(const fact& f) noexcept;

class fact_walk {
public:
  /// Facts with a seq in [from, to) of the journal and of `beside`: `stream` for streams, `memory`
  /// for histories.
  fact_walk(const reader& store, group_id group, const agent_name& name, family beside, seq_no from,
            seq_no to = UINT64_MAX);

  bool valid() const noexcept { return current_ != nullptr; }
  seq_no seq() const noexcept { return current_->fact().seq; }
  time_us at() const noexcept { return current_->facts.at; }
  const holdfast::fact& fact() const noexcept { return current_->fact().fact; }
  /// The last fact of its record that is in the journal.
  bool ends_record() const noexcept;
  void next();
  /// Not ok: the walk ended because of an error.
  status state() const { return problem_ ? status{*problem_} : ok_status(); }

private:
  struct source {
    std::unique_ptr<cursor> at;
    codec::stored_facts facts;
    std::size_t index = 0;
    bool open = false;
    const codec::numbered_fact& fact() const noexcept { return facts.facts[index]; }
  };

  void load(source& one);
  void step(source& one);
  void choose();

  seq_no from_;
  seq_no to_;
  std::array<source, 2> sources_;  // journal first
  source* current_ = nullptr;
  std::optional<error> problem_;
};

/// Where a walk must begin so that it meets the `run_started` of the run that is open just before
/// `seq`, with all its effects; `seq` itself when none is.
result<seq_no> begin_of_run_at(const reader& store, group_id group, const agent_name& name,
                               seq_no seq);

/// The oldest fact in the journal; 0 when there is none.
result<seq_no> oldest_fact(const reader& store, group_id group, const agent_name& name);

}  // namespace holdfast
