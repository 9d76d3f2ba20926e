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
  /// For a request that another node has authorised and sent here: it is answered here, or refused
  /// with `not_leader`.
  void handle_forwarded(net::http_request&& request, std::shared_ptr<const principal> who,
                        net::responder to);
  /// For a read whose owner is not to be found: answered with what is here, which may be old. It
  /// says so in the header `X-Holdfast-Stale-Ms`: for how long this node has known no leader.
  void handle_stale(net::http_request&& request, std::shared_ptr<const principal> who,
                    std::int64_t stale_ms, net::responder to);

  /// To be called a few times a second: `wait` deadlines, keep-alives; closes streams of a node
  /// that drains.
  void tick();

  /// The state of that group was put in place as a whole: what led to it is never told here, so
  /// its streams are closed, and clients resume by cursor. Does not block.
  void state_replaced(group_id group);

  gateway_counters counters() const;

  /// For `net::http_server::options::refusal`.
  static net::http_response refusal(unsigned number, std::string_view reason);

private:
  /// Where a request comes from: a client, when nobody has authorised it yet.
  struct origin {
    std::shared_ptr<const principal> authorised;
    bool owner_needed = true;
  };
  void dispatch(net::http_request&& request, origin from, net::responder to);

  std::shared_ptr<services> services_;
  std::unique_ptr<const router> routes_;
};

}  // namespace holdfast
