#include "persistence/log_state.hpp"

#include "persistence/keys.hpp"

namespace holdfast {

namespace {

constexpr std::uint8_t format_version = 1;
constexpr std::size_t number_bytes = 8;
constexpr std::size_t state_bytes = 1 + 2 * number_bytes;

void append(std::string& out, std::uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8)
    out += static_cast<char>(static_cast<std::uint8_t>(number >> shift));
}

std::uint64_t number_at(std::string_view bytes, std::size_t at) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < number_bytes; ++i)
    number = number << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  return number;
}

}  // namespace

std::string encode(const log_state& value) {
  std::string out;
  out.reserve(state_bytes);
  out += static_cast<char>(format_version);
  append(out, value.term);
  append(out, value.applied);
  return out;
}

result<log_state> decode_log_state(std::string_view bytes) {
  if (bytes.size() != state_bytes || static_cast<std::uint8_t>(bytes[0]) != format_version)
    return error{errc::corrupt, "a log state that does not parse"};
  return log_state{number_at(bytes, 1), number_at(bytes, 1 + number_bytes)};
}

result<log_state> read_log_state(const reader& from, group_id group) {
  const auto stored = from.get(family::meta, keys::log_state(group));
  if (!stored)
    return stored.error();
  if (!*stored)
    return log_state{};
  auto state = decode_log_state(**stored);
  if (!state)
    return error{state.error().code,
                 "group " + std::to_string(group) + ": " + state.error().context};
  return state;
}

void put_log_state(group_id group, const log_state& value, write_set& out) {
  out.put(family::meta, keys::log_state(group), encode(value));
}

}  // namespace holdfast
