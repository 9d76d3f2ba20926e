#pragma once
// Which agents a list or a batch means. Pure.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/core/expression.hpp"
#include "runtime/gateway/documents.hpp"

namespace holdfast {

struct agent_filter {
  std::string type;  ///< empty: all
  std::optional<agent_status> status_is;
  std::shared_ptr<const expression> where;  ///< jq over the agent document; null: all
};

/// Errors: `malformed` for a status or type that cannot be, `schema` for jq that does not compile.
result<agent_filter> agent_filter_of(std::string_view type, std::string_view status_name,
                                     std::string_view where, const compilers& with);

/// The type is not looked at: the scan is over that type only. A `where` that errs is no match.
bool matches(const agent_filter& filter, const agent_facts& agent);

/// The status with this name.
std::optional<agent_status> agent_status_of(std::string_view name) noexcept;

}  // namespace holdfast
