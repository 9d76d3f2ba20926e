#include "runtime/net/sse_parser.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace holdfast::net {

namespace {
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
}

/// The mark may be cut over several pieces; if it turns out to be none, its bytes are data.
void sse_parser::skip_byte_order_mark(std::string_view& bytes) {
  while (mark_bytes_seen_ < byte_order_mark.size() && !bytes.empty()) {
    if (bytes.front() != byte_order_mark[mark_bytes_seen_]) {
      line_.append(byte_order_mark.substr(0, mark_bytes_seen_));
      mark_bytes_seen_ = byte_order_mark.size();
      return;
    }
    bytes.remove_prefix(1);
    ++mark_bytes_seen_;
  }
}

sse_failure sse_parser::feed(std::string_view bytes,
                             const std::function<void(sse_event&&)>& on_event) {
  skip_byte_order_mark(bytes);
  while (failure_ == sse_failure::none && !bytes.empty()) {
    if (std::exchange(after_cr_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const auto end = bytes.find_first_of("\r\n");
    const auto piece = bytes.substr(0, end);
    if (line_.size() + piece.size() > event_bytes_max_) {
      failure_ = sse_failure::event_too_large;
      break;
    }
    if (end == std::string_view::npos) {
      line_.append(piece);
      break;
    }
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    if (line_.empty()) {
      take_line(piece, on_event);
    } else {
      line_.append(piece);
      take_line(line_, on_event);
      line_.clear();
    }
  }
  return failure_;
}

void sse_parser::take_line(std::string_view line,
                           const std::function<void(sse_event&&)>& on_event) {
  if (line.empty()) {
    last_event_id_ = id_;  // only now: a block cut short must not move the point to resume from
    if (has_data_)
      on_event({last_event_id_, std::move(type_), std::move(data_)});
    type_.clear();
    data_.clear();
    has_data_ = false;
    return;
  }
  const auto colon = line.find(':');
  if (colon == 0)
    return;  // a comment
  auto value = colon == std::string_view::npos ? std::string_view{} : line.substr(colon + 1);
  if (value.starts_with(' '))
    value.remove_prefix(1);
  take_field(line.substr(0, colon), value);
}

void sse_parser::take_field(std::string_view name, std::string_view value) {
  if (name == "data") {
    if (data_.size() + value.size() + 1 > event_bytes_max_) {
      failure_ = sse_failure::event_too_large;
      return;
    }
    if (std::exchange(has_data_, true))
      data_ += '\n';
    data_ += value;
  } else if (name == "event") {
    type_ = value;
  } else if (name == "id") {
    if (value.find('\0') == std::string_view::npos)
      id_ = value;
  } else if (name == "retry") {
    const bool digits = !value.empty() && std::all_of(value.begin(), value.end(),
                                                      [](char c) { return c >= '0' && c <= '9'; });
    uint64_t ms = 0;
    if (digits && std::from_chars(value.data(), value.data() + value.size(), ms).ec == std::errc{})
      retry_ms_ = ms;
  }
}

}  // namespace holdfast::net
