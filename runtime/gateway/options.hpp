#pragma once
// What the gateway is told when it is made.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "runtime/core/access.hpp"
#include "runtime/core/audit_chain.hpp"
#include "runtime/core/expression.hpp"
#include "runtime/gateway/request_body.hpp"

namespace holdfast {

struct gateway_options {
  body_limits body;
  std::int64_t dedup_ms = 7LL * 24 * 3'600'000;  ///< `retention.dedup`
  std::int64_t wait_ms_max = 300'000;            ///< of `?wait=`
  std::int64_t keep_alive_ms = 15'000;           ///< between comments on a silent stream
  /// What one stream replays before it is closed and resumed by cursor.
  std::size_t replay_bytes_max = 4 << 20;
  std::size_t batch_events_max = 1'000;  ///< of a CloudEvents batch
  std::size_t scanned_max = 20'000;      ///< rows that one page of a filtered list looks at
  /// The item with which a page of a list gets so big is its last.
  std::size_t page_bytes_max = 4 << 20;
  /// jq and JSON Schema; null: definitions and `where` are refused.
  compilers with;
  /// The value of a secret, for hooks and for checking definitions. Errors say which variable to
  /// set.
  std::function<result<std::string>(std::string_view name)> secret;
  /// Whether the node can serve a definition's model; the error says what to do. Null: any.
  std::function<status(std::string_view model)> check_model;
  /// Who a key belongs to; null: no key is asked for. Errors: `unauthorised`. Any thread; must not
  /// block.
  std::function<result<std::shared_ptr<const principal>>(std::string_view token)> authenticate;
  /// Whether a key that was taken still counts: asked now and then for those whose streams are
  /// open. Null: it does.
  std::function<bool(const principal& who)> still_valid;
  /// SHA-256, for checking the audit log.
  chain_digest digest = nullptr;
  /// Runs what may take milliseconds on a thread that may block. Null: at once, on the calling
  /// thread.
  std::function<void(std::function<void()>)> offload;
  /// Milliseconds of a steady clock; null: the process's.
  std::function<std::int64_t()> steady_ms;
  /// False: the node has the role `worker` alone, and answers operators only.
  bool takes_requests = true;
  /// Where request ids begin; 0: somewhere at random.
  std::uint64_t request_seed = 0;
};

}  // namespace holdfast
