#include "runtime/net/link_record.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace holdfast::net {

namespace {

constexpr size_t direct_bytes_min = 16 << 10;  // below, a copy is cheaper than another read

void append_big_endian(std::string& out, uint64_t value, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
    out += static_cast<char>((value >> shift) & 0xff);
}

uint64_t read_big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char c : bytes)
    value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

}  // namespace

void append_record_head(std::string& out, link_record_kind kind, size_t body_bytes) {
  out += static_cast<char>(kind);
  append_big_endian(out, body_bytes, 4);
}

void append_credit(std::string& out, uint64_t released) {
  append_record_head(out, link_record_kind::credit, 8);
  append_big_endian(out, released, 8);
}

void append_start(std::string& out, size_t frame_bytes) {
  append_record_head(out, link_record_kind::start, 4);
  append_big_endian(out, frame_bytes, 4);
}

uint64_t link_record::credit() const { return body.size() == 8 ? read_big_endian(body) : 0; }

bool link_record_reader::take_head(std::string_view& input) {
  const size_t size = std::min(link_record_head_bytes - head_bytes_, input.size());
  std::memcpy(head_ + head_bytes_, input.data(), size);
  input.remove_prefix(size);
  head_bytes_ += size;
  if (head_bytes_ < link_record_head_bytes)
    return false;
  body_bytes_ = read_big_endian({head_ + 1, 4});
  in_part_ = head_[0] == static_cast<char>(link_record_kind::part);
  check_head(head_[0]);
  return failure_.empty();
}

void link_record_reader::check_head(char kind) {
  if (in_part_) {
    if (body_bytes_ == 0 || body_bytes_ > parts_bytes_ - parts_.size())
      failure_ = "a part that does not belong to a frame";
    return;
  }
  const bool frame = kind == static_cast<char>(link_record_kind::frame);
  const size_t limit = frame ? frame_bytes_max_ : link_control_bytes_max;
  too_large_ = body_bytes_ > limit;
  if (too_large_)
    failure_ = (frame ? "a frame of " : "a control record of ") + std::to_string(body_bytes_) +
               " bytes, over the limit of " + std::to_string(limit);
  else if (frame && parts_bytes_ != 0)
    failure_ = "a frame within another";
}

/// The parts' total is known before they come: the limit is judged at once.
bool link_record_reader::begin_parts() {
  const uint64_t size = body_.size() == 4 ? read_big_endian(body_) : 0;
  too_large_ = size > frame_bytes_max_;
  if (too_large_)
    failure_ = "a frame of " + std::to_string(size) + " bytes, over the limit of " +
               std::to_string(frame_bytes_max_);
  else if (size == 0 || parts_bytes_ != 0)
    failure_ = "a frame within another, or an empty one in parts";
  if (!failure_.empty())
    return false;
  parts_bytes_ = size;
  parts_.reserve(size);  // pages that are not touched cost nothing yet
  return true;
}

/// The body under way is complete. True when that makes a record for the caller.
bool link_record_reader::finished(link_record& out) {
  head_bytes_ = body_filled_ = body_bytes_ = 0;
  out.kind = static_cast<link_record_kind>(head_[0]);
  if (out.kind == link_record_kind::start) {
    begin_parts();
    body_.clear();
    return false;
  }
  if (!in_part_) {
    out.body = std::exchange(body_, {});
    return true;
  }
  if (parts_.size() < parts_bytes_)
    return false;
  out.kind = link_record_kind::frame;
  out.body = std::exchange(parts_, {});
  parts_bytes_ = 0;
  return true;
}

bool link_record_reader::next(std::string_view& input, link_record& out) {
  while (failure_.empty()) {
    if (head_bytes_ < link_record_head_bytes && !take_head(input))
      return false;
    const size_t size = std::min(missing(), input.size());
    target().append(input.data(), size);
    body_filled_ += size;
    input.remove_prefix(size);
    if (missing() > 0)
      return false;
    if (finished(out))
      return true;
  }
  return false;
}

std::span<char> link_record_reader::direct() {
  if (head_bytes_ < link_record_head_bytes || missing() < direct_bytes_min)
    return {};
  auto& to = target();
  direct_at_ = to.size();
  to.resize(direct_at_ + missing());
  return {to.data() + direct_at_, missing()};
}

bool link_record_reader::filled(size_t bytes, link_record& out) {
  target().resize(direct_at_ + bytes);
  body_filled_ += bytes;
  return missing() == 0 && finished(out);
}

}  // namespace holdfast::net
