#pragma once
// The HTTP API of a node: from a parsed request to its answer. What is said where stands in
// INTERFACE §3.

#include <cstdint>
#include <memory>
#include <string_view>

#include "runtime/gateway/backend.hpp"
#include "runtime/gateway/options.hpp"
#include "runtime/net/responder.hpp"

namespace holdfast {

class services;
class router;

/// Totals since start.
struct gateway_counters {
  std::uint64_t unauthorised = 0;  ///< requests without a key that is known
  std::uint64_t forbidden = 0;     ///< requests that their key may not make
  std::uint64_t audits_failed = 0;
};

/// Thread-safe. `handle` does not block: what may take milliseconds goes to
/// `gateway_options::offload`. Must outlive the backend's last answer, and the backend must outlive
/// it.
class gateway {
public:
  gateway(backend& node, gateway_options opts);
  ~gateway();
  gateway(const gateway&) = delete;
  gateway& operator=(const gateway&) = delete;

  void handle(net::http_request&& request, net::responder to);

  /// To be called a few times a second: `wait` deadlines, keep-alives; closes streams of a node
  /// that drains.
  void tick();

  gateway_counters counters() const;

  /// For `net::http_server::options::refusal`.
  static net::http_response refusal(unsigned number, std::string_view reason);

private:
  std::shared_ptr<services> services_;
  std::unique_ptr<const router> routes_;
};

}  // namespace holdfast
