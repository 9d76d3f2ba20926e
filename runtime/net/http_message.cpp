#include "runtime/net/http_message.hpp"

#include <algorithm>
#include <array>

namespace holdfast::net {

namespace {

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (char c = 'a'; c <= 'z'; ++c)
    table[static_cast<unsigned char>(c)] = true;
  for (char c = 'A'; c <= 'Z'; ++c)
    table[static_cast<unsigned char>(c)] = true;
  for (char c = '0'; c <= '9'; ++c)
    table[static_cast<unsigned char>(c)] = true;
  for (char c : {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'})
    table[static_cast<unsigned char>(c)] = true;
  return table;
}

constexpr auto token_table = make_token_table();

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

bool is_token(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return token_table[static_cast<unsigned char>(c)];
  });
}

bool is_header_value(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
  });
}

http_request http_request::make(std::string_view method, std::string_view target,
                                const header_list& headers, std::string body) {
  request_builder builder;
  builder.clear(0);
  builder.start(method, target);
  for (const auto& [name, value] : headers)
    builder.add_header(name, value);
  auto request = builder.finish();
  request.body = std::move(body);
  return request;
}

std::string_view http_request::header(std::string_view name) const noexcept {
  for (const auto& header : headers_)
    if (equals_ignoring_case(header.name, name))
      return header.value;
  return {};
}

void request_builder::clear(size_t bytes_expected) {
  storage_.clear();
  storage_.reserve(bytes_expected);
  parts_.clear();
  method_size_ = 0;
  target_size_ = 0;
}

void request_builder::start(std::string_view method, std::string_view target) {
  storage_.insert(storage_.end(), method.begin(), method.end());
  storage_.insert(storage_.end(), target.begin(), target.end());
  method_size_ = static_cast<uint32_t>(method.size());
  target_size_ = static_cast<uint32_t>(target.size());
}

void request_builder::add_header(std::string_view name, std::string_view value) {
  storage_.insert(storage_.end(), name.begin(), name.end());
  storage_.insert(storage_.end(), value.begin(), value.end());
  parts_.push_back({static_cast<uint32_t>(name.size()), static_cast<uint32_t>(value.size())});
}

http_request request_builder::finish() {
  http_request request;
  request.storage_ = std::move(storage_);
  const char* at = request.storage_.data();
  auto take = [&at](size_t size) {
    std::string_view view{at, size};
    at += size;
    return view;
  };
  request.method_ = take(method_size_);
  request.target_ = take(target_size_);
  request.headers_.reserve(parts_.size());
  for (const auto& p : parts_) {
    const auto name = take(p.name_size);
    request.headers_.push_back({name, take(p.value_size)});
  }
  return request;
}

std::string_view reason_phrase(unsigned status) noexcept {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 207:
      return "Multi-Status";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

}  // namespace holdfast::net
