#pragma once
// What `doctor` says, for a running server and for a stopped folder alike.

#include <nlohmann/json_fwd.hpp>

#include "tools/holdfast/console.hpp"
#include "tools/holdfast/failure.hpp"

namespace holdfast::cli {

/// Prints a doctor document, and gives 1 when it has findings, else 0:
///
///     {"kind": "doctor", "checked": {"agents": 3, …},
///      "findings": [{"code", "subject", "detail", "unblock": {"command"}}]}
///
/// `subject` is an agent, a partition, a file: what the finding is about. `checked` may be absent.
exit_code report_findings(const nlohmann::ordered_json& document, console& out);

}  // namespace holdfast::cli
