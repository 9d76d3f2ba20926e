#pragma once
// Refusals as users see them: RFC 9457 `application/problem+json` (INTERFACE §3 "Errors"). Pure.

#include <string>
#include <string_view>
#include <vector>

#include "runtime/net/http_message.hpp"
#include "schemas/error.hpp"

namespace holdfast {

/// One thing wrong with a body.
struct problem_item {
  std::string pointer;  ///< RFC 6901
  std::string detail;
  bool operator==(const problem_item&) const = default;
};

/// A refusal with all that can be said of it.
struct refusal {
  error why;
  std::vector<problem_item> items;
};

/// The code as it leaves the process: what is inside only (`io_failure`, `not_leader`) becomes the
/// nearest of the contract's codes, with a detail that gives nothing away.
errc public_code(errc code) noexcept;

/// Says to another node that nothing of a refused request was taken: it may be sent elsewhere.
inline constexpr std::string_view nothing_taken_header = "X-Holdfast-Nothing-Taken";

/// `type title status detail code errors`, with `Retry-After` on 429 and 503.
net::http_response problem(const error& why, const std::vector<problem_item>& items = {});
inline net::http_response problem(const refusal& why) { return problem(why.why, why.items); }

/// For `net::http_server::options::refusal`: what the server itself turned away.
net::http_response server_problem(unsigned number, std::string_view reason);

}  // namespace holdfast
