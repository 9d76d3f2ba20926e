#pragma once
// What a decision may read beside the state: an agent's own records. Committed ones, and those of the turn in hand.

#include <vector>

#include "schemas/state.hpp"

namespace holdfast {

/// Reads of one agent. Errors: `corrupt` when a record that the state refers to is missing, `io_failure`.
class agent_records {
public:
  virtual ~agent_records() = default;
  virtual result<fact> fact_at(seq_no seq) const = 0;  ///< journal only
  virtual result<mailbox_entry> mailbox(std::uint64_t number) const = 0;
  virtual result<std::string> memory(seq_no seq) const = 0;
  /// Messages [first, last), in order.
  virtual result<std::vector<message>> messages(std::uint64_t first, std::uint64_t last) const = 0;
};

}  // namespace holdfast
