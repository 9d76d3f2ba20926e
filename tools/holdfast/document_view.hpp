#pragma once
// The documents of INTERFACE §3 as rows of a table, as a description, as ids. Pure.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "schemas/ids.hpp"
#include "tools/holdfast/table.hpp"

namespace holdfast::cli {

/// What a list is of: decides the columns.
enum class view : unsigned char {
  agent,
  run,
  event,
  type,
  version,
  reconcile,
  dead_letter,
  mailbox,
  timer,
  history,
  audit,
  key,
  node,
  acceptance,  ///< the answer to an event that was sent
  any,         ///< whatever it is: its scalar fields
};

struct view_options {
  time_us now = 0;
  bool wide = false;  ///< all columns, exact times, nothing cut
  bool colour = false;
};

/// One row per item, with the columns of `what`.
table table_of(view what, const nlohmann::ordered_json& items, const view_options& options);

/// What `-o ids` prints for a document: the id that the verbs of its noun take. Empty when it has
/// none.
std::string id_of(const nlohmann::ordered_json& document);

/// Every field on a line of its own; ends with the cause and the command that unblocks, where the
/// document has them (`cause`, `causes`, `error`).
std::string description_of(const nlohmann::ordered_json& document, const view_options& options);

/// `why`: one line for the agent, then two for each cause: what it waits for, what unblocks it.
std::string explanation_of(const nlohmann::ordered_json& why, const view_options& options);

/// A string as it is, anything else as JSON on one line.
std::string scalar_text(const nlohmann::ordered_json& value);

/// `scalar_text` of a member; empty when the object has none of this name, or null.
std::string text_at(const nlohmann::ordered_json& object, const char* field);

}  // namespace holdfast::cli
