#pragma once
// `GET /v1/cluster` for people: nodes, who leads what, and what is wrong. Pure.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tools/holdfast/document_view.hpp"

namespace holdfast::cli {

/// One row per leader with its partitions; wide: one per partition with its replicas.
table partitions_table(const nlohmann::ordered_json& cluster, const view_options& options);

/// What an operator has to see to: partitions without a leader, then what to do about it. Empty: every partition has a
/// leader.
std::vector<std::string> cluster_findings(const nlohmann::ordered_json& cluster);

/// A line for each node that is on its way in or out, with how far it is.
std::vector<std::string> membership_notes(const nlohmann::ordered_json& cluster);

}  // namespace holdfast::cli
