// The format, from RocksDB's db/log_format.h: blocks of 32 KiB, in them fragments of
//   crc32c of type and payload, masked (4) ‖ payload size (2) ‖ type (1) ‖ payload
// with little-endian numbers. A record is one `full` fragment, or `first`, any number of `middle`, `last`. Less than a
// header at the end of a block is filled with zeroes. Recycled and compressed logs look different; we write neither.

#include "persistence/rocksdb_wal_tail.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string_view>

namespace holdfast {

namespace {

constexpr std::size_t block_bytes = 32'768;
constexpr std::size_t header_bytes = 7;
constexpr std::size_t sector_bytes = 512;
constexpr std::size_t zeroes_min =
  8;  // fewer, in a sector's part of a record, may have been written

enum class fragment_type : std::uint8_t { full = 1, first = 2, middle = 3, last = 4 };

constexpr auto crc_table = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit)
      c = (c & 1) != 0 ? c >> 1 ^ 0x82F63B78U : c >> 1;
    table[i] = c;
  }
  return table;
}();

std::uint32_t masked_crc32c(std::string_view bytes) {
  std::uint32_t c = ~std::uint32_t{0};
  for (const char byte : bytes)
    c = c >> 8 ^ crc_table[(c ^ static_cast<std::uint8_t>(byte)) & 0xFF];
  c = ~c;
  return (c >> 15 | c << 17) + 0xA282EAD8U;
}

std::uint32_t number_at(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint32_t number = 0;
  for (std::size_t i = size; i-- > 0;)
    number = number << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  return number;
}

bool all_zero(std::string_view bytes) {
  return bytes.find_first_not_of('\0') == std::string_view::npos;
}

struct fragment {
  fragment_type type;
  std::size_t end;
  bool begins_record() const { return type == fragment_type::full || type == fragment_type::first; }
};

/// The fragment at this place of a log, if it is intact.
std::optional<fragment> fragment_at(std::string_view log, std::size_t at) {
  const auto block_end = std::min(log.size(), at / block_bytes * block_bytes + block_bytes);
  if (at + header_bytes > block_end)
    return std::nullopt;
  const auto type = static_cast<std::uint8_t>(log[at + 6]);
  const auto end = at + header_bytes + number_at(log, at + 4, 2);
  if (type < 1 || type > 4 || end > block_end)
    return std::nullopt;
  if (masked_crc32c(log.substr(at + 6, end - at - 6)) != number_at(log, at, 4))
    return std::nullopt;
  return fragment{static_cast<fragment_type>(type), end};
}

std::size_t next_block(std::size_t at) { return at / block_bytes * block_bytes + block_bytes; }

/// Skips the filling at the end of a block.
std::size_t skip_filling(std::size_t at) {
  return next_block(at) - at < header_bytes ? next_block(at) : at;
}

/// Whether a record begins, intact, anywhere from here on: on a byte that nothing before it points to, too.
bool record_begins_after(std::string_view log, std::size_t from) {
  for (std::size_t at = from; at < log.size();) {
    const auto found = fragment_at(log, at);
    if (found && found->begins_record())
      return true;
    at = found ? skip_filling(found->end) : at + 1;
  }
  return false;
}

/// Whether, from here to the end, some sector was not written: its part of the range reads as zeroes.
bool misses_a_sector(std::string_view log, std::size_t from) {
  for (std::size_t at = from; at < log.size();) {
    const auto end = std::min(log.size(), at / sector_bytes * sector_bytes + sector_bytes);
    if (end - at >= zeroes_min && all_zero(log.substr(at, end - at)))
      return true;
    at = end;
  }
  return false;
}

/// The last record of a log that is not intact.
struct damage {
  std::size_t record;    // where it begins
  std::size_t fragment;  // the first of its fragments that is not intact
};

std::optional<damage> damage_in(std::string_view log) {
  std::size_t record = 0;
  for (std::size_t at = 0; at < log.size();) {
    const auto found = fragment_at(log, at);
    if (!found) {
      if (all_zero(log.substr(record)))
        return std::nullopt;  // room made in advance
      return damage{record, at};
    }
    at = skip_filling(found->end);
    if (found->type == fragment_type::full || found->type == fragment_type::last)
      record = at;
  }
  return std::nullopt;
}

/// Newest first.
using logs = std::map<std::uint64_t, std::filesystem::path, std::greater<>>;

result<logs> logs_in(const std::string& path) {
  logs out;
  std::error_code failed;
  for (auto at = std::filesystem::directory_iterator(path, failed);
       !failed && at != std::filesystem::directory_iterator(); at.increment(failed)) {
    const auto name = at->path().stem().string();
    std::uint64_t number = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), number);
    if (at->path().extension() == ".log" && parsed.ec == std::errc{} &&
        parsed.ptr == name.data() + name.size())
      out[number] = at->path();
  }
  if (failed)
    return error{errc::io_failure, "list " + path + ": " + failed.message()};
  return out;
}

result<std::string> read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  if (!in.is_open() || in.bad())
    return error{errc::io_failure, "read " + path.string()};
  return bytes;
}

}  // namespace

result<bool> only_last_write_is_torn(const std::string& path) {
  const auto found = logs_in(path);
  if (!found)
    return found.error();
  for (const auto& [number, file] : *found) {
    const auto log = read_file(file);
    if (!log)
      return log.error();
    const auto damaged = damage_in(*log);
    if (damaged)
      return misses_a_sector(*log, damaged->record) &&
             !record_begins_after(*log, damaged->fragment + 1);
    if (!all_zero(*log))
      return false;  // the newest that was written to is intact
  }
  return false;
}

}  // namespace holdfast
