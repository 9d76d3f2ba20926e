#pragma once
// What every request handler may use. One per gateway; lives until the last answer that needs it is
// given.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "runtime/gateway/backend.hpp"
#include "runtime/gateway/carried_streams.hpp"
#include "runtime/gateway/deadlines.hpp"
#include "runtime/gateway/options.hpp"

namespace holdfast {

class stream_hub;

class services {
public:
  services(backend& node, gateway_options opts);
  ~services();
  services(const services&) = delete;
  services& operator=(const services&) = delete;

  backend& node;
  const gateway_options opts;
  deadlines waits;
  std::unique_ptr<stream_hub> streams;
  const std::shared_ptr<carried_streams> carried = std::make_shared<carried_streams>();

  // Since start; for /metrics.
  std::atomic<std::uint64_t> unauthorised{0};   ///< no key, or none that is known
  std::atomic<std::uint64_t> forbidden{0};      ///< a known key that may not
  std::atomic<std::uint64_t> audits_failed{0};  ///< refusals that the audit log had no room for

  /// `req_` and 11 characters, unlike any other of this process: short enough to need no
  /// allocation.
  std::string next_request_id();
  /// On the thread for slow things, or here.
  void offload(std::function<void()> work) const;

private:
  std::atomic<std::uint64_t> requests_;
};

}  // namespace holdfast
