// What a node says of itself: whether it is ready, its metrics, what it warns of.

#include "cluster/node_impl.hpp"
#include "runtime/host/log.hpp"
#include "schemas/units.hpp"

namespace holdfast {

node_status node::impl::report() const {
  node_status out;
  out.draining = draining;
  const bool started = member ? member->has_leaders() : shards_started >= services->partitions;
  out.ready = started && !draining;
  out.why_not = draining                         ? "draining"
                : started                        ? ""
                : member && member->is_joining() ? "joining, or no quorum"
                : member                         ? "no quorum"
                                                 : "starting";
  out.node = opts.config.node;
  out.version = opts.version;
  out.started_at_us = static_cast<std::uint64_t>(started_at);
  out.cluster = opts.config.cluster.name;
  if (member)
    out.address = member->address();
  else if (server)
    out.address = opts.config.http.host + ":" + std::to_string(server->port());
  return out;
}

std::vector<metric_value> node::impl::measure() const {
  std::vector<metric_value> out;
  const auto add = [&](const char* name, double value) { out.push_back({name, {}, value}); };
  const auto committed_so_far = services->log->count();
  add("holdfast_log_records_total", static_cast<double>(committed_so_far.records));
  add("holdfast_log_commits_total", static_cast<double>(committed_so_far.groups));
  add("holdfast_log_bytes_total", static_cast<double>(committed_so_far.bytes));
  add("holdfast_log_refused_total", static_cast<double>(committed_so_far.refused));
  add("holdfast_store_reads_total", static_cast<double>(machine.reads()));
  const auto http_counters = server->counters();
  add("holdfast_http_requests_total", static_cast<double>(http_counters.requests));
  add("holdfast_http_connections", static_cast<double>(http_counters.open));
  add("holdfast_http_streams", static_cast<double>(http_counters.streams));
  const auto calls = http->stats();
  add("holdfast_outgoing_calls_total", static_cast<double>(calls.calls));
  add("holdfast_outgoing_calls_active", static_cast<double>(calls.active));
  add("holdfast_requests_waiting", static_cast<double>(requests.size()));
  add("holdfast_stream_subscribers", static_cast<double>(feed.subscribers()));
  if (member)
    member->measure(out);
  if (known_keys.is_on()) {
    add("holdfast_auth_keys", static_cast<double>(known_keys.size()));
    out.push_back({"holdfast_auth_reloads_total", "{result=\"ok\"}",
                   static_cast<double>(known_keys.reloads())});
    out.push_back({"holdfast_auth_reloads_total", "{result=\"failed\"}",
                   static_cast<double>(known_keys.reloads_failed())});
  }
  if (const auto expires_s = server->certificate_expires_s())
    add("holdfast_tls_certificate_expires_seconds", static_cast<double>(*expires_s));
  return out;
}

void node::impl::warn_of_certificates() const {
  constexpr std::int64_t soon_s = 14 * 24 * 3'600;
  const auto look = [](const std::filesystem::path& file, std::optional<std::int64_t> expires_s) {
    if (expires_s && *expires_s - wall_now() / 1'000'000 < soon_s)
      log::warn("certificate-expires",
                {{"file", file.string()},
                 {"at", format_time(*expires_s * 1'000'000)},
                 {"why",
                  "renew it in its place and send this process SIGHUP; no new connection "
                  "is believed after that time"}});
  };
  const auto& config = opts.config;
  look(config.tls.cert, server->certificate_expires_s());
  if (member && config.cluster.cert != config.tls.cert)
    look(config.cluster.cert, member->certificate_expires_s());
}

}  // namespace holdfast
