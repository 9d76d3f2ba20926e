#include "schemas/error.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>

namespace holdfast {

namespace {

struct code_row {
  errc code;
  std::string_view name;
  unsigned http;
  bool retryable;
};

constexpr std::array rows{
  code_row{errc::ok, "ok", 200, false},
  code_row{errc::malformed, "malformed", 400, false},
  code_row{errc::too_deep, "too_deep", 400, false},
  code_row{errc::invalid_key, "invalid_key", 400, false},
  code_row{errc::unauthorised, "unauthorised", 401, false},
  code_row{errc::bad_signature, "bad_signature", 401, false},
  code_row{errc::stale_signature, "stale_signature", 401, false},
  code_row{errc::forbidden, "forbidden", 403, false},
  code_row{errc::unknown_type, "unknown_type", 404, false},
  code_row{errc::not_found, "not_found", 404, false},
  code_row{errc::method_not_allowed, "method_not_allowed", 405, false},
  code_row{errc::busy, "busy", 409, true},
  code_row{errc::conflict, "conflict", 409, false},
  code_row{errc::gone, "gone", 410, false},
  code_row{errc::precondition_failed, "precondition_failed", 412, false},
  code_row{errc::too_large, "too_large", 413, false},
  code_row{errc::unsupported_media, "unsupported_media", 415, false},
  code_row{errc::schema, "schema", 422, false},
  code_row{errc::idempotency_conflict, "idempotency_conflict", 422, false},
  code_row{errc::not_available, "not_available", 422, false},
  code_row{errc::mailbox_full, "mailbox_full", 429, true},
  code_row{errc::overloaded, "overloaded", 503, true},
  code_row{errc::draining, "draining", 503, true},
  code_row{errc::no_quorum, "no_quorum", 503, true},
  code_row{errc::internal, "internal", 500, false},
  code_row{errc::io_failure, "io_failure", 500, false},
  code_row{errc::corrupt, "corrupt", 500, false},
  code_row{errc::not_leader, "not_leader", 503, true},
  code_row{errc::unknown_outcome, "unknown_outcome", 503, true},
  code_row{errc::unavailable, "unavailable", 503, true},
  code_row{errc::timeout, "timeout", 503, true},
  code_row{errc::cancelled, "cancelled", 409, false},
  code_row{errc::limit_exceeded, "limit_exceeded", 409, false},
};

const code_row& row_of(errc code) noexcept {
  for (const auto& row : rows)
    if (row.code == code)
      return row;
  broken_invariant("an error code without a row", __FILE__, __LINE__);
}

}  // namespace

std::string_view to_string(errc code) noexcept { return row_of(code).name; }

errc errc_from_string(std::string_view name) noexcept {
  for (const auto& row : rows)
    if (row.name == name)
      return row.code;
  return errc::internal;
}

unsigned http_status(errc code) noexcept { return row_of(code).http; }

bool is_retryable(errc code) noexcept { return row_of(code).retryable; }

void broken_invariant(std::string_view what, const char* file, int line) noexcept {
  std::fprintf(stderr, "holdfast: broken invariant: %.*s (%s:%d)\n", static_cast<int>(what.size()),
               what.data(), file, line);
  std::abort();
}

}  // namespace holdfast
