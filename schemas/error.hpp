#pragma once
// What can go wrong, said once. Every refusal a user sees has one of these codes; `http_status` and the retry rule
// hang on the code, not on the place that met it.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace holdfast {

/// The kinds of failure. The names of the first block are the `code` of an RFC 9457 problem document (INTERFACE §3);
/// the second block never leaves the process as such.
enum class errc : std::uint8_t {
  ok = 0,
  malformed,             // 400 not JSON, not YAML, not HTTP
  too_deep,              // 400 nesting beyond the limit
  invalid_key,           // 400 an agent key outside its alphabet or length
  unauthorised,          // 401
  bad_signature,         // 401 webhook signature does not match
  stale_signature,       // 401 webhook timestamp outside its tolerance
  forbidden,             // 403
  unknown_type,          // 404 no such agent type
  not_found,             // 404 no such id, source, path
  method_not_allowed,    // 405
  busy,                  // 409 the agent has an open run and refuses another
  conflict,              // 409 the thing is not in a state that allows this
  gone,                  // 410 below retention
  precondition_failed,   // 412 If-Match does not match
  too_large,             // 413
  unsupported_media,     // 415
  schema,                // 422 well formed, but not what the schema allows
  idempotency_conflict,  // 422 key reused with another body
  not_available,         // 422 named by the contract, not delivered yet
  mailbox_full,          // 429
  overloaded,            // 503 was not appended; may be sent again
  draining,              // 503
  no_quorum,             // 503

  internal = 64,    // a bug; 500
  io_failure,       // the disk said no
  corrupt,          // stored bytes do not parse, or contradict each other
  not_leader,       // this node does not own the partition
  unknown_outcome,  // proposed, but whether it was committed is not known
  unavailable,      // a peer could not be reached
  timeout,
  cancelled,
  limit_exceeded,  // a run reached one of its limits
};

/// Says what failed and where. `context` tells what to do next where a user will read it; it never holds a secret or
/// a payload.
struct [[nodiscard]] error {
  errc code = errc::ok;
  std::string context;
};

/// A value or the reason why there is none. Must be looked at.
template <class T>
class [[nodiscard]] result {
public:
  result(T value)
    : v_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  result(holdfast::error e)
    : v_(std::in_place_index<1>, std::move(e)) {}  // NOLINT(google-explicit-constructor)
  explicit operator bool() const noexcept { return v_.index() == 0; }
  T& operator*() & { return std::get<0>(v_); }
  const T& operator*() const& { return std::get<0>(v_); }
  T&& operator*() && { return std::get<0>(std::move(v_)); }
  T* operator->() { return &std::get<0>(v_); }
  const T* operator->() const { return &std::get<0>(v_); }
  const holdfast::error& error() const { return std::get<1>(v_); }

private:
  std::variant<T, holdfast::error> v_;
};

using status = result<std::monostate>;

inline status ok_status() { return std::monostate{}; }

/// The name of the code as users see it: `mailbox_full`.
std::string_view to_string(errc code) noexcept;

/// The code with this name, or `errc::internal`.
errc errc_from_string(std::string_view name) noexcept;

/// The HTTP status that goes with the code.
unsigned http_status(errc code) noexcept;

/// True when sending the same thing again later can succeed.
bool is_retryable(errc code) noexcept;

/// Ends the process: a promise would be broken by going on. Recovery does the rest.
[[noreturn]] void broken_invariant(std::string_view what, const char* file, int line) noexcept;

#define HOLDFAST_ASSERT(condition, what)                        \
  do {                                                          \
    if (!(condition)) [[unlikely]]                              \
      ::holdfast::broken_invariant((what), __FILE__, __LINE__); \
  } while (false)

}  // namespace holdfast
