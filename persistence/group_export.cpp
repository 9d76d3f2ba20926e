#include "persistence/group_export.hpp"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <limits>

namespace holdfast {

namespace {

constexpr std::uint8_t chunk_format = 1;
constexpr std::uint8_t flag_last = 1;
constexpr std::size_t digest_bytes = 16;
constexpr std::size_t checksum_bytes = 8;
constexpr std::size_t chunk_header_bytes = 1 + 1 + 2 + 4;
constexpr std::size_t row_header_bytes = 1 + 4 + 4;

void append_number(std::string& out, std::uint64_t number, int bytes) {
  for (int shift = bytes * 8 - 8; shift >= 0; shift -= 8)
    out += static_cast<char>(static_cast<std::uint8_t>(number >> shift));
}

std::uint64_t read_number(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < size; ++i)
    number = number << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  return number;
}

void append_row(std::string& out, family in, std::string_view key, std::string_view value) {
  HOLDFAST_ASSERT(key.size() <= std::numeric_limits<std::uint32_t>::max() &&
                    value.size() <= std::numeric_limits<std::uint32_t>::max(),
                  "a row of 4 GiB");
  out += static_cast<char>(in);
  append_number(out, key.size(), 4);
  append_number(out, value.size(), 4);
  out.append(key).append(value);
}

/// Calls `take(family, key, value)` for the rows behind the position, in order, until it gives false.
template <class Take>
status walk_rows(const reader& from, group_id group, const export_position& after, Take take) {
  for (auto& [in, range] : state_ranges(group)) {
    if (after.started && in < after.in)
      continue;
    if (after.started && in == after.in)
      range.lower = std::max(range.lower, after.key + '\0');
    if (range.lower >= range.upper)
      continue;
    const auto at = from.scan(in, range.lower, range.upper);
    for (; at->valid(); at->next())
      if (!take(in, at->key(), at->value()))
        return ok_status();
    if (auto walked = at->state(); !walked)
      return walked;
  }
  return ok_status();
}

error damaged(const char* what) {
  return {errc::corrupt, std::string("a chunk of a group's state: ") + what};
}

}  // namespace

std::vector<family_range> state_ranges(group_id group) {
  std::vector<family_range> out;
  for (auto& range : keys::state_in_meta(group))
    out.push_back({family::meta, std::move(range)});
  for (std::size_t i = 0; i < family_count; ++i) {
    const auto in = static_cast<family>(i);
    if (in != family::meta && in != family::log)
      out.push_back({in, keys::group(group)});
  }
  return out;
}

std::string encode(const export_position& position) {
  if (!position.started)
    return {};
  std::string out{position.digest.view()};
  out += static_cast<char>(position.in);
  return out.append(position.key);
}

result<export_position> decode_position(std::string_view bytes) {
  if (bytes.empty())
    return export_position{};
  if (bytes.size() <= digest_bytes)
    return error{errc::malformed, "a position in a group's state that does not parse"};
  export_position out;
  out.digest = digest_from_bytes(bytes.substr(0, digest_bytes));
  out.started = true;
  out.in = static_cast<family>(bytes[digest_bytes]);
  out.key = bytes.substr(digest_bytes + 1);
  return out;
}

void move_behind(export_position& position, family in, std::string_view key,
                 std::string_view encoded_row) {
  std::array<std::uint8_t, 2 * digest_bytes> both;
  std::copy(position.digest.bytes.begin(), position.digest.bytes.end(), both.begin());
  XXH128_canonical_t digest;
  XXH128_canonicalFromHash(&digest, XXH3_128bits(encoded_row.data(), encoded_row.size()));
  std::copy_n(digest.digest, digest_bytes, both.begin() + digest_bytes);
  XXH128_canonicalFromHash(&digest, XXH3_128bits(both.data(), both.size()));
  std::copy_n(digest.digest, digest_bytes, position.digest.bytes.begin());
  position.started = true;
  position.in = in;
  position.key = key;
}

result<group_chunk> export_chunk(const reader& from, group_id group, std::string_view position,
                                 std::size_t bytes_max) {
  auto at = decode_position(position);
  if (!at)
    return at.error();
  const auto start = *at;
  group_chunk out;
  out.last = true;
  append_number(out.bytes, chunk_format, 1);
  append_number(out.bytes, 0, 1);
  append_number(out.bytes, group, 2);
  append_number(out.bytes, position.size(), 4);
  out.bytes += position;
  const auto rows_start = out.bytes.size();
  auto walked =
    walk_rows(from, group, start, [&](family in, std::string_view key, std::string_view value) {
      const auto row_start = out.bytes.size();
      const auto size = row_start + row_header_bytes + key.size() + value.size() + checksum_bytes;
      if (size > bytes_max && row_start > rows_start) {
        out.last = false;
        return false;
      }
      append_row(out.bytes, in, key, value);
      move_behind(*at, in, key, std::string_view(out.bytes).substr(row_start));
      return true;
    });
  if (!walked)
    return walked.error();
  if (out.last)
    out.bytes[1] = static_cast<char>(flag_last);
  append_number(out.bytes, XXH3_64bits(out.bytes.data(), out.bytes.size()), checksum_bytes);
  out.next = encode(*at);
  return out;
}

result<digest128> state_hash(const reader& from, group_id group) {
  export_position at;
  std::string row;
  auto walked =
    walk_rows(from, group, {}, [&](family in, std::string_view key, std::string_view value) {
      row.clear();
      append_row(row, in, key, value);
      move_behind(at, in, key, row);
      return true;
    });
  if (!walked)
    return walked.error();
  return at.digest;
}

result<chunk_view> read_chunk(std::string_view bytes) {
  if (bytes.size() < chunk_header_bytes + checksum_bytes)
    return damaged("it is too short");
  const auto body = bytes.size() - checksum_bytes;
  if (XXH3_64bits(bytes.data(), body) != read_number(bytes, body, checksum_bytes))
    return damaged("its checksum does not match");
  if (static_cast<std::uint8_t>(bytes[0]) != chunk_format)
    return damaged("of another format: the sender is of another version");
  chunk_view out;
  out.last = (static_cast<std::uint8_t>(bytes[1]) & flag_last) != 0;
  out.group = static_cast<group_id>(read_number(bytes, 2, 2));
  const auto position_bytes = read_number(bytes, 4, 4);
  if (position_bytes > body - chunk_header_bytes)
    return damaged("it ends within its position");
  out.from = bytes.substr(chunk_header_bytes, position_bytes);
  for (auto at = chunk_header_bytes + position_bytes; at < body;) {
    if (body - at < row_header_bytes)
      return damaged("it ends within a row");
    const auto key_bytes = read_number(bytes, at + 1, 4);
    const auto row_bytes = row_header_bytes + key_bytes + read_number(bytes, at + 5, 4);
    if (body - at < row_bytes)
      return damaged("it ends within a row");
    if (static_cast<std::uint8_t>(bytes[at]) >= family_count)
      return damaged("of a family that this version does not know");
    const auto row = bytes.substr(at, row_bytes);
    out.rows.push_back({static_cast<family>(row[0]), row.substr(row_header_bytes, key_bytes),
                        row.substr(row_header_bytes + key_bytes), row});
    at += row_bytes;
  }
  return out;
}

}  // namespace holdfast
