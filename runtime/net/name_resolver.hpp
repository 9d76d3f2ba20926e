#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/net/egress.hpp"

namespace holdfast::net {

/// Looks names up on a few threads of its own. `getaddrinfo` cannot be interrupted and may take
/// many seconds, so neither a call's timeout nor the destructor waits for it: a thread that is
/// stuck in it when the resolver goes finishes on its own and touches nothing of ours.
class name_resolver {
public:
  struct answer {
    std::vector<ip_address> addresses;  ///< in the order to try; empty on failure
    std::string failure;                ///< for people
  };
  using callback = std::function<void(answer&&)>;

  static constexpr unsigned threads_max = 4;

  name_resolver();
  ~name_resolver();
  name_resolver(const name_resolver&) = delete;
  name_resolver& operator=(const name_resolver&) = delete;

  /// Calls back on a resolver thread, never after the destructor has begun. A lookup whose `wanted`
  /// is false when its turn comes is dropped without a call. Lookups wait in line, unbounded: the
  /// caller bounds its calls.
  void resolve(const std::string& host, std::shared_ptr<const std::atomic<bool>> wanted,
               callback on_answer);

private:
  struct shared;
  std::shared_ptr<shared> shared_;
};

}  // namespace holdfast::net
