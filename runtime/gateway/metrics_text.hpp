#pragma once
// Metrics as Prometheus reads them (text format 0.0.4). All names with their help and type stand in
// one table. Pure.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/gateway/backend.hpp"

namespace holdfast {

struct metric_description {
  std::string_view name;
  std::string_view type;  ///< counter, gauge
  std::string_view help;
};

/// Every metric of a node.
std::span<const metric_description> metric_descriptions() noexcept;

/// Values of one name stand together, under its HELP and TYPE. A name that is not in the table is
/// left out of nothing: it gets the type that its name says.
std::string metrics_text(std::vector<metric_value> values);

}  // namespace holdfast
