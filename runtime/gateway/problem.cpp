#include "runtime/gateway/problem.hpp"

#include <array>

#include "runtime/gateway/json_writer.hpp"

namespace holdfast {

namespace {

constexpr unsigned retry_after_s = 1;

std::string_view title_of(errc code) noexcept {
  switch (code) {
    case errc::malformed:
      return "The request cannot be read";
    case errc::too_deep:
      return "The document is nested too deeply";
    case errc::invalid_key:
      return "Not an agent key";
    case errc::unauthorised:
      return "Not authorised";
    case errc::bad_signature:
      return "The signature does not match";
    case errc::stale_signature:
      return "The signature is too old";
    case errc::forbidden:
      return "Not allowed";
    case errc::unknown_type:
      return "No such agent type";
    case errc::not_found:
      return "Not found";
    case errc::method_not_allowed:
      return "Not with this method";
    case errc::busy:
      return "The agent is busy";
    case errc::conflict:
      return "Not in this state";
    case errc::gone:
      return "Not kept any more";
    case errc::precondition_failed:
      return "It has changed meanwhile";
    case errc::too_large:
      return "Too large";
    case errc::unsupported_media:
      return "Not in this media type";
    case errc::schema:
      return "Not what the schema allows";
    case errc::idempotency_conflict:
      return "The key was used with another body";
    case errc::not_available:
      return "Not available in this release";
    case errc::mailbox_full:
      return "The mailbox is full";
    case errc::overloaded:
      return "Too much at once";
    case errc::draining:
      return "This node is draining";
    case errc::no_quorum:
      return "No leader for this agent right now";
    default:
      return "Internal error";
  }
}

/// What the server calls its refusals.
struct server_refusal {
  std::string_view reason;
  errc code;
  std::string_view detail;
};
constexpr std::array server_refusals{
  server_refusal{"malformed", errc::malformed, "the bytes are not an HTTP/1.1 request"},
  server_refusal{"header_timeout", errc::malformed,
                 "the head of the request did not arrive in time; send it again"},
  server_refusal{"body_timeout", errc::malformed, "the body did not arrive in time; send it again"},
  server_refusal{"body_too_large", errc::too_large,
                 "the body is larger than this node takes; send less"},
  server_refusal{"target_too_long", errc::too_large, "the URL is too long"},
  server_refusal{"expectation_failed", errc::malformed,
                 "only `Expect: 100-continue` is understood"},
  server_refusal{"header_too_large", errc::too_large, "the headers are too large or too many"},
  server_refusal{"transfer_coding", errc::unsupported_media,
                 "only the chunked transfer coding is understood"},
  server_refusal{"too_many_connections", errc::overloaded, "too many connections; try again"},
  server_refusal{"buffers_full", errc::overloaded, "too many large bodies at once; try again"},
  server_refusal{"unsupported_version", errc::malformed, "use HTTP/1.1"},
};

net::http_response render(unsigned number, errc code, std::string_view detail,
                          const std::vector<problem_item>& items) {
  net::http_response out;
  out.status = number;
  out.content_type = "application/problem+json";
  const auto name = to_string(code);
  json_writer json{out.body};
  json.begin_object();
  json.field("type", "urn:holdfast:problem:" + std::string{name});
  json.field("title", title_of(code));
  json.field("status", number);
  json.field("detail", detail);
  json.field("code", name);
  if (!items.empty()) {
    json.key("errors").begin_array();
    for (const auto& item : items)
      json.begin_object().field("pointer", item.pointer).field("detail", item.detail).end_object();
    json.end_array();
  }
  json.end_object();
  out.body += '\n';
  if (number == 429 || number == 503)
    out.headers.emplace_back("Retry-After", std::to_string(retry_after_s));
  return out;
}

}  // namespace

errc public_code(errc code) noexcept {
  switch (code) {
    case errc::not_leader:
    case errc::unknown_outcome:
    case errc::unavailable:
    case errc::timeout:
      return errc::no_quorum;
    case errc::cancelled:
    case errc::limit_exceeded:
      return errc::conflict;
    case errc::ok:
    case errc::internal:
    case errc::io_failure:
    case errc::corrupt:
      return errc::internal;
    default:
      return code;
  }
}

net::http_response problem(const error& why, const std::vector<problem_item>& items) {
  const errc code = public_code(why.code);
  if (code == errc::internal)
    return render(
      500, code,
      "something went wrong inside; the log of the node says what. The request may be sent again",
      {});
  if (why.code == errc::unknown_outcome)
    return render(
      http_status(code), code,
      "whether the request was taken is not known; send it again with the same Idempotency-Key",
      {});
  auto out = render(http_status(code), code,
                    why.context.empty() ? title_of(code) : std::string_view{why.context}, items);
  if (why.code == errc::not_leader)
    out.headers.emplace_back(nothing_taken_header, "moved");
  return out;
}

net::http_response server_problem(unsigned number, std::string_view reason) {
  for (const auto& row : server_refusals)
    if (row.reason == reason)
      return render(number, row.code, row.detail, {});
  return render(number, errc::internal,
                "something went wrong inside; the log of the node says what", {});
}

}  // namespace holdfast
