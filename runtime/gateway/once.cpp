#include "runtime/gateway/once.hpp"

namespace holdfast {

namespace {

constexpr std::size_t key_bytes_max = 256;

time_us expiry(const call& c) { return c.node().now() + c.at().opts.dedup_ms * 1'000; }

}  // namespace

result<std::string_view> idempotency_key_of(const call& c) {
  std::string_view key;
  bool found = false;
  for (const auto& header : c.request.headers()) {
    if (!net::equals_ignoring_case(header.name, "idempotency-key"))
      continue;
    if (found)
      return error{errc::malformed, "Idempotency-Key is given twice"};
    found = true;
    key = header.value;
  }
  if (found && (key.empty() || key.size() > key_bytes_max))
    return error{errc::malformed, "an Idempotency-Key has 1 to 256 bytes"};
  return key;
}

idempotency once_by_key(const call& c, std::string_view key, std::string_view part) {
  const auto scope = part.empty()
                       ? digest_of({"key", c.principal(), c.request.method(), c.path(), key})
                       : digest_of({"key", c.principal(), c.request.method(), c.path(), key, part});
  return {scope, digest_of({c.request.body}), expiry(c)};
}

std::optional<idempotency> once_by_event(const call& c, std::string_view agent, const event& e) {
  if (e.id.empty() || e.source.empty())
    return std::nullopt;
  return idempotency{digest_of({"event", agent, e.source, e.id}), {}, expiry(c)};
}

idempotency once_by_delivery(const call& c, std::string_view source, std::string_view id) {
  return {digest_of({"hook", source, id}), {}, expiry(c)};
}

}  // namespace holdfast
