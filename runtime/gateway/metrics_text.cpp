#include "runtime/gateway/metrics_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace holdfast {

namespace {

constexpr std::array descriptions{
  metric_description{"holdfast_log_records_total", "counter", "Turn records committed since start"},
  metric_description{"holdfast_log_commits_total", "counter",
                     "Durable writes (fsyncs) since start"},
  metric_description{"holdfast_log_bytes_total", "counter", "Bytes given to the store since start"},
  metric_description{"holdfast_log_refused_total", "counter",
                     "Records refused for lack of room since start"},
  metric_description{"holdfast_store_reads_total", "counter",
                     "Reads of the store by the state machine since start"},
  metric_description{"holdfast_http_requests_total", "counter", "HTTP requests taken since start"},
  metric_description{"holdfast_http_connections", "gauge", "HTTP connections that are open"},
  metric_description{"holdfast_http_streams", "gauge", "Event streams that are open"},
  metric_description{"holdfast_outgoing_calls_total", "counter",
                     "Calls to models and tools since start"},
  metric_description{"holdfast_outgoing_calls_active", "gauge",
                     "Calls to models and tools under way"},
  metric_description{"holdfast_requests_waiting", "gauge", "Clients that wait for an answer"},
  metric_description{"holdfast_stream_subscribers", "gauge", "Agents that a stream is open for"},
  metric_description{"holdfast_cluster_groups_led", "gauge",
                     "Partitions, and the catalogue, that this node leads"},
  metric_description{"holdfast_cluster_groups_without_leader", "gauge",
                     "Partitions, and the catalogue, for which no leader is known"},
  metric_description{"holdfast_cluster_peers_up", "gauge", "Nodes that this one is connected to"},
  metric_description{"holdfast_cluster_snapshots_installed_total", "counter",
                     "Times that the whole state of a partition was taken from another node"},
  metric_description{"holdfast_cluster_definitions_late_total", "counter",
                     "Definitions that were acknowledged before every node that is up had them"},
  metric_description{"holdfast_cluster_requests_away", "gauge",
                     "Requests from here that another node answers, or that look for it"},
  metric_description{"holdfast_auth_refused_total", "counter",
                     "Requests without a known API key, or that their key may not make"},
  metric_description{"holdfast_auth_keys", "gauge", "API keys in force"},
  metric_description{"holdfast_auth_reloads_total", "counter",
                     "Times the API keys were read again since start"},
  metric_description{"holdfast_audit_failed_total", "counter",
                     "Refused calls that the audit log had no room for"},
  metric_description{"holdfast_tls_certificate_expires_seconds", "gauge",
                     "When the certificate for HTTPS expires, in seconds since 1970"},
  metric_description{"holdfast_link_certificate_expires_seconds", "gauge",
                     "When the certificate for the node link expires, in seconds since 1970"},
};

const metric_description* description_of(std::string_view name) noexcept {
  for (const auto& one : descriptions)
    if (one.name == name)
      return &one;
  return nullptr;
}

void append_number(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else {
    char digits[40];
    const auto end =
      value == std::floor(value) && std::fabs(value) < 1e15
        ? std::to_chars(digits, digits + sizeof digits, static_cast<std::int64_t>(value)).ptr
        : std::to_chars(digits, digits + sizeof digits, value).ptr;
    out.append(digits, end);
  }
}

}  // namespace

std::span<const metric_description> metric_descriptions() noexcept { return descriptions; }

std::string metrics_text(std::vector<metric_value> values) {
  std::stable_sort(values.begin(), values.end(),
                   [](const metric_value& a, const metric_value& b) { return a.name < b.name; });
  std::string out;
  std::string_view last;
  for (const auto& one : values) {
    if (one.name != last) {
      const auto* known = description_of(one.name);
      const std::string_view type = known != nullptr               ? known->type
                                    : one.name.ends_with("_total") ? "counter"
                                                                   : "gauge";
      out.append("# HELP ").append(one.name).append(" ");
      out.append(known != nullptr ? known->help : "Not described").append("\n");
      out.append("# TYPE ").append(one.name).append(" ").append(type).append("\n");
      last = one.name;
    }
    out.append(one.name).append(one.labels).append(" ");
    append_number(out, one.value);
    out += '\n';
  }
  return out;
}

}  // namespace holdfast
