#include "runtime/net/request_parser.hpp"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <optional>

namespace holdfast::net {

namespace http = boost::beast::http;
using boost::beast::error_code;
using beast_view = boost::beast::string_view;

namespace {

std::string_view view(beast_view text) { return {text.data(), text.size()}; }

constexpr size_t body_reserve_max = 64 << 10;  // a Content-Length alone buys no more memory

/// Origin form, or absolute form reduced to it (RFC 9112 §3.2); nothing for anything else.
std::optional<std::string_view> origin_form(std::string_view method, std::string_view target) {
  if (target.find('#') != std::string_view::npos)
    return std::nullopt;
  if (target.starts_with('/'))
    return target;
  if (target == "*")
    return method == "OPTIONS" ? std::optional{target} : std::nullopt;
  for (std::string_view scheme : {"http://", "https://"}) {
    if (!equals_ignoring_case(target.substr(0, scheme.size()), scheme))
      continue;
    const auto authority_end = target.find_first_of("/?", scheme.size());
    if (authority_end == std::string_view::npos)
      return "/";
    if (target[authority_end] == '/')
      return target.substr(authority_end);
  }
  return std::nullopt;
}

}  // namespace

/// Receives the parts of one message from Beast.
class message_sink final : public http::basic_parser<true> {
public:
  message_sink(const http_server::options& limits, request_builder& builder)
    : limits_(limits), builder_(builder) {
    header_limit(static_cast<std::uint32_t>(limits.header_bytes_max));
    body_limit(limits.body_bytes_max);
    eager(true);
  }

  std::optional<refusal_reason> refused;
  std::string body;
  bool is_head = false;
  bool wants_continue = false;

  bool http_1_1() const { return http_1_1_; }

private:
  void refuse(refusal_reason reason, error_code& ec) {
    if (!refused)
      refused = reason;
    ec = http::error::bad_value;  // any: it stops Beast, `refused` says why
  }

  void on_request_impl(http::verb, beast_view method, beast_view target, int version,
                       error_code& ec) override {
    http_1_1_ = version >= 11;
    if (target.size() > limits_.target_bytes_max)
      return refuse(refusal_reason::target_too_long, ec);
    const auto origin = origin_form(view(method), view(target));
    if (!origin)
      return refuse(refusal_reason::malformed, ec);
    is_head = view(method) == "HEAD";
    head_bytes_ = method.size() + target.size();
    builder_.start(view(method), *origin);
  }

  void on_field_impl(http::field field, beast_view name, beast_view value,
                     error_code& ec) override {
    if (head_done_)
      return;  // a trailer must not pass for a header
    head_bytes_ += name.size() + value.size() + 4;
    if (builder_.header_count() == limits_.headers_max || head_bytes_ > limits_.header_bytes_max)
      return refuse(refusal_reason::header_too_large, ec);
    if (field == http::field::host)
      ++hosts_;
    if (field == http::field::transfer_encoding) {
      has_transfer_coding_ = true;
      if (!equals_ignoring_case(view(value), "chunked"))
        return refuse(refusal_reason::transfer_coding, ec);
    }
    if (field == http::field::expect)
      expectation_ = view(value);
    builder_.add_header(view(name), view(value));
  }

  void on_header_impl(error_code& ec) override {
    head_done_ = true;
    if (hosts_ > 1 || (http_1_1_ && hosts_ == 0) || (!http_1_1_ && has_transfer_coding_))
      return refuse(refusal_reason::malformed, ec);
    if (!http_1_1_ || expectation_.empty())
      return;
    if (!equals_ignoring_case(expectation_, "100-continue"))
      return refuse(refusal_reason::expectation_failed, ec);
    wants_continue = chunked() || content_length().value_or(0) > 0;
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>& size, error_code&) override {
    body.reserve(std::min<size_t>(size.value_or(0), body_reserve_max));
  }

  size_t on_body_impl(beast_view bytes, error_code&) override {
    body.append(bytes.data(), bytes.size());
    wants_continue = false;
    return bytes.size();
  }

  void on_chunk_header_impl(std::uint64_t, beast_view, error_code&) override {
    wants_continue = false;
  }

  size_t on_chunk_body_impl(std::uint64_t, beast_view bytes, error_code& ec) override {
    return on_body_impl(bytes, ec);
  }

  void on_finish_impl(error_code&) override {}
  void on_response_impl(int, beast_view, int, error_code&) override {}

  const http_server::options& limits_;
  request_builder& builder_;
  std::string expectation_;
  size_t head_bytes_ = 0;
  unsigned hosts_ = 0;
  bool head_done_ = false;
  bool has_transfer_coding_ = false;
  bool http_1_1_ = true;
};

struct request_parser::impl {
  explicit impl(const http_server::options& opts) : limits(opts) {}

  const http_server::options& limits;
  request_builder builder;
  std::optional<message_sink> sink;
  std::optional<refusal_reason> refused;
  std::string carry;       // bytes that Beast must see again, from their beginning
  size_t blank_bytes = 0;  // CR and LF skipped before the request line

  /// Skips the empty line that some clients send after a body (RFC 9112 §2.2).
  size_t skip_blank(std::string_view bytes) {
    constexpr size_t blank_bytes_max = 4;
    size_t skipped = 0;
    while (skipped < bytes.size() && blank_bytes < blank_bytes_max &&
           (bytes[skipped] == '\r' || bytes[skipped] == '\n')) {
      ++skipped;
      ++blank_bytes;
    }
    return skipped;
  }

  /// Beast asserts on a first chunk `0\r\n` that is seen again with fewer than five bytes. At a
  /// chunk header at least five are still to come (`0\r\n\r\n`), so waiting for them loses nothing.
  bool too_short_for_beast(std::string_view input) const {
    return !carry.empty() && input.size() < 5 && sink->is_header_done() && sink->chunked();
  }

  void note_failure(error_code ec) {
    if (sink->refused)
      refused = sink->refused;
    else if (ec == http::error::header_limit)
      refused = refusal_reason::header_too_large;
    else if (ec == http::error::body_limit)
      refused = refusal_reason::body_too_large;
    else if (ec == http::error::bad_version)
      refused = refusal_reason::unsupported_version;
    else if (ec && ec != http::error::need_more)
      refused = refusal_reason::malformed;
  }
};

request_parser::request_parser(const http_server::options& limits)
  : impl_(std::make_unique<impl>(limits)) {}

request_parser::~request_parser() = default;
request_parser::request_parser(request_parser&&) noexcept = default;

size_t request_parser::feed(std::string_view bytes) {
  auto& p = *impl_;
  const size_t given = bytes.size();
  if (p.refused)
    return given;
  if (!p.sink) {
    bytes.remove_prefix(p.skip_blank(bytes));
    if (bytes.empty())
      return given;
    p.builder.clear(bytes.size());
    p.sink.emplace(p.limits, p.builder);
  }
  auto input = bytes;
  if (!p.carry.empty()) {
    p.carry.append(bytes);
    input = p.carry;
    if (p.too_short_for_beast(input))
      return given;
  }
  error_code ec;
  const size_t used = p.sink->put({input.data(), input.size()}, ec);
  p.note_failure(ec);
  const size_t rest = input.size() - used;
  if (p.refused || p.sink->is_done()) {
    p.carry.clear();
    return given - std::min(rest, given);
  }
  if (rest > p.limits.header_bytes_max) {  // an endless chunk extension or trailer
    p.refused = refusal_reason::malformed;
    return given;
  }
  if (p.carry.empty())
    p.carry.assign(input.substr(used));
  else
    p.carry.erase(0, used);
  return given;
}

request_parser::progress request_parser::state() const noexcept {
  if (impl_->refused)
    return progress::refused;
  if (!impl_->sink || !impl_->sink->is_header_done())
    return progress::head;
  return impl_->sink->is_done() ? progress::complete : progress::body;
}

refusal_reason request_parser::refusal() const noexcept {
  return impl_->refused.value_or(refusal_reason::malformed);
}

bool request_parser::started() const noexcept { return impl_->sink.has_value(); }

bool request_parser::wants_continue() const noexcept {
  return state() == progress::body && impl_->sink->wants_continue && impl_->carry.empty();
}

size_t request_parser::body_bytes() const noexcept {
  return impl_->sink ? impl_->sink->body.size() : 0;
}

bool request_parser::keep_alive() const noexcept {
  return state() == progress::complete && impl_->sink->keep_alive();
}

bool request_parser::http_1_1() const noexcept { return !impl_->sink || impl_->sink->http_1_1(); }

bool request_parser::is_head() const noexcept { return impl_->sink && impl_->sink->is_head; }

http_request request_parser::take() {
  auto request = impl_->builder.finish();
  request.body = std::move(impl_->sink->body);
  return request;
}

void request_parser::reset() {
  impl_->sink.reset();
  impl_->refused.reset();
  impl_->carry = {};
  impl_->blank_bytes = 0;
}

}  // namespace holdfast::net
