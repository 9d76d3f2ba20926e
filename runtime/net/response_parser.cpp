#include "runtime/net/response_parser.hpp"

#include <boost/beast/http/basic_parser.hpp>
#include <limits>
#include <optional>
#include <utility>

namespace holdfast::net {

namespace http = boost::beast::http;
using boost::beast::error_code;
using beast_view = boost::beast::string_view;

namespace {

constexpr unsigned interim_responses_max = 8;

std::string_view plain_view(beast_view text) { return {text.data(), text.size()}; }

}  // namespace

/// Receives the parts of one response from Beast.
class response_sink final : public http::basic_parser<false> {
public:
  response_sink(bool no_body, std::string& body) : body_(body) {
    header_limit(static_cast<std::uint32_t>(response_parser::head_bytes_max));
    body_limit(std::numeric_limits<std::uint64_t>::max());  // the caller counts
    eager(true);
    skip(no_body);
  }

  client_response_head head;
  bool head_too_large = false;

private:
  void on_response_impl(int status, beast_view, int, error_code&) override {
    head.status = static_cast<unsigned>(status);
  }

  void on_field_impl(http::field field, beast_view name, beast_view value,
                     error_code& ec) override {
    if (head_done_)
      return;  // a trailer must not pass for a header
    head_bytes_ += name.size() + value.size() + 4;
    if (head.headers.size() == response_parser::headers_max ||
        head_bytes_ > response_parser::head_bytes_max) {
      head_too_large = true;
      ec = http::error::header_limit;
      return;
    }
    // Only what we can undo; compressions were not asked for.
    if (field == http::field::transfer_encoding &&
        !equals_ignoring_case(plain_view(value), "chunked"))
      ec = http::error::bad_transfer_encoding;
    head.headers.emplace_back(plain_view(name), plain_view(value));
  }

  void on_header_impl(error_code& ec) override {
    head_done_ = true;
    if (head.status < 100 || head.status == 101)  // we never ask for another protocol
      ec = http::error::bad_status;
  }

  size_t on_body_impl(beast_view bytes, error_code&) override {
    body_.append(bytes.data(), bytes.size());
    return bytes.size();
  }

  size_t on_chunk_body_impl(std::uint64_t, beast_view bytes, error_code& ec) override {
    return on_body_impl(bytes, ec);
  }

  void on_request_impl(http::verb, beast_view, beast_view, int, error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  void on_chunk_header_impl(std::uint64_t, beast_view, error_code&) override {}
  void on_finish_impl(error_code&) override {}

  std::string& body_;
  size_t head_bytes_ = 0;
  bool head_done_ = false;
};

struct response_parser::impl {
  explicit impl(bool head_request) : no_body(head_request) { sink.emplace(no_body, body); }

  bool no_body;
  std::optional<response_sink> sink;
  std::optional<progress> failed;
  std::string carry;  // bytes that Beast must see again, from their beginning
  std::string body;
  unsigned interim_responses = 0;
  bool any_byte = false;

  bool is_interim() const { return sink->is_done() && sink->head.status / 100 == 1; }

  /// As in request_parser: Beast asserts on a first chunk `0\r\n` seen again with under five bytes.
  bool too_short_for_beast(std::string_view input) const {
    return !carry.empty() && input.size() < 5 && sink->is_header_done() && sink->chunked();
  }

  /// Parses one message's worth; returns the bytes used of `input`.
  size_t parse(std::string_view input) {
    error_code ec;
    const size_t used = sink->put({input.data(), input.size()}, ec);
    if (sink->head_too_large || ec == http::error::header_limit)
      failed = progress::head_too_large;
    else if (ec && ec != http::error::need_more)
      failed = progress::malformed;
    return used;
  }
};

response_parser::response_parser(bool no_body) : impl_(std::make_unique<impl>(no_body)) {}
response_parser::~response_parser() = default;

size_t response_parser::feed(std::string_view bytes) {
  auto& p = *impl_;
  const size_t given = bytes.size();
  p.any_byte = p.any_byte || given > 0;
  std::string joined;
  auto input = bytes;
  if (!p.carry.empty()) {
    p.carry.append(bytes);
    if (p.too_short_for_beast(p.carry))
      return given;
    joined.swap(p.carry);
    input = joined;
  }
  while (!p.failed && !input.empty() && !p.sink->is_done()) {
    const size_t used = p.parse(input);
    input.remove_prefix(used);
    if (!p.failed && p.is_interim()) {
      if (++p.interim_responses > interim_responses_max)
        p.failed = progress::malformed;
      p.sink.emplace(p.no_body, p.body);
      continue;
    }
    if (!p.sink->is_done())
      break;  // Beast wants more
  }
  if (p.failed)
    return given;
  if (p.sink->is_done())
    return given - std::min(input.size(), given);
  if (input.size() > head_bytes_max)  // an endless chunk extension or trailer
    p.failed = progress::malformed;
  p.carry.assign(input);
  return given;
}

void response_parser::end_of_input() {
  auto& p = *impl_;
  if (p.failed || p.sink->is_done() || !p.sink->is_header_done())
    return;
  error_code ec;
  p.sink->put_eof(ec);  // fails when the length was announced: then it stays incomplete
}

response_parser::progress response_parser::state() const noexcept {
  if (impl_->failed)
    return *impl_->failed;
  if (!impl_->sink->is_header_done())
    return progress::head;
  return impl_->sink->is_done() ? progress::complete : progress::body;
}

bool response_parser::any_byte_seen() const noexcept { return impl_->any_byte; }

const client_response_head& response_parser::head() const noexcept { return impl_->sink->head; }

client_response_head response_parser::take_head() noexcept { return std::move(impl_->sink->head); }

std::string response_parser::take_body() noexcept { return std::exchange(impl_->body, {}); }

size_t response_parser::body_bytes_waiting() const noexcept { return impl_->body.size(); }

bool response_parser::keep_alive() const noexcept {
  return state() == progress::complete && impl_->sink->keep_alive();
}

}  // namespace holdfast::net
