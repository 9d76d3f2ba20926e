#include "schemas/ids.hpp"

#include <xxhash.h>

#include <charconv>
#include <memory>

namespace holdfast {

namespace {

constexpr std::string_view crockford = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::size_t text_length = 26;  // 130 bits for 128

int crockford_value(char c) noexcept {
  const auto at = crockford.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

template <std::size_t N>
void put_big_endian(std::uint8_t* out, std::uint64_t value) noexcept {
  for (std::size_t i = 0; i < N; ++i)
    out[i] = static_cast<std::uint8_t>(value >> (8 * (N - 1 - i)));
}

template <std::size_t N>
std::uint64_t get_big_endian(const std::uint8_t* in) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < N; ++i)
    value = value << 8 | in[i];
  return value;
}

/// The length of the UTF-8 sequence at the front of `text`, 0 when it is not well formed (RFC 3629).
std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80)
    return 1;
  const std::size_t length = first >= 0xF0 && first <= 0xF4  ? 4
                             : first >= 0xE0 && first < 0xF0 ? 3
                             : first >= 0xC2 && first < 0xE0 ? 2
                                                             : 0;
  if (length == 0 || text.size() < length)
    return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80)
      return 0;
  const unsigned char second = byte(1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
      (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F))
    return 0;
  return length;
}

}  // namespace

std::string to_string(const agent_name& name) {
  std::string out;
  out.reserve(name.type.size() + 1 + name.key.size());
  out.append(name.type).append(1, '/').append(name.key);
  return out;
}

result<agent_name> parse_agent_name(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos)
    return error{errc::malformed,
                 "an agent is written type/key, for example payment-recovery/cus_42"};
  agent_name name{std::string{text.substr(0, slash)}, std::string{text.substr(slash + 1)}};
  if (!is_valid_type(name.type))
    return error{errc::malformed,
                 "an agent type is 1 to 63 of a-z, 0-9 and '-', and starts with a letter"};
  if (auto checked = check_key(name.key); !checked)
    return checked.error();
  return name;
}

status check_key(std::string_view key) {
  if (key.empty() || key.size() > 256)
    return error{errc::invalid_key, "an agent key has 1 to 256 bytes of UTF-8; this one has " +
                                      std::to_string(key.size())};
  for (std::size_t i = 0; i < key.size();) {
    const auto c = static_cast<unsigned char>(key[i]);
    if (c < 0x20 || c == 0x7F)
      return error{errc::invalid_key, "an agent key must not contain control characters"};
    const std::size_t length = utf8_length(key.substr(i));
    if (length == 0 || (length == 2 && c == 0xC2 && static_cast<unsigned char>(key[i + 1]) < 0xA0))
      return error{errc::invalid_key, "an agent key must be UTF-8 without control characters"};
    i += length;
  }
  return ok_status();
}

bool is_valid_type(std::string_view type) noexcept {
  if (type.empty() || type.size() > 63 || type.front() < 'a' || type.front() > 'z')
    return false;
  for (char c : type)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
      return false;
  return true;
}

std::uint64_t hash_of(const agent_name& name) noexcept {
  char buffer[63 + 1 + 256];
  const std::size_t size = name.type.size() + 1 + name.key.size();
  if (size > sizeof buffer) {  // not a valid name, but a hash all the same
    const std::string text = to_string(name);
    return XXH64(text.data(), text.size(), 0);
  }
  name.type.copy(buffer, name.type.size());
  buffer[name.type.size()] = '/';
  name.key.copy(buffer + name.type.size() + 1, name.key.size());
  return XXH64(buffer, size, 0);
}

group_id group_of(const agent_name& name, std::uint16_t partitions) {
  return static_cast<group_id>(hash_of(name) % partitions + 1);
}

group_id group_of(std::string_view name, std::uint16_t partitions) {
  return static_cast<group_id>(XXH64(name.data(), name.size(), 0) % partitions + 1);
}

time_us sortable_id::time() const noexcept {
  return static_cast<time_us>(get_big_endian<8>(bytes.data()));
}

group_id sortable_id::group() const noexcept {
  return static_cast<group_id>(get_big_endian<2>(bytes.data() + 8));
}

std::uint32_t sortable_id::owner() const noexcept {
  return static_cast<std::uint32_t>(get_big_endian<4>(bytes.data() + 10));
}

std::uint16_t sortable_id::number() const noexcept {
  return static_cast<std::uint16_t>(get_big_endian<2>(bytes.data() + 14));
}

sortable_id make_id(time_us at, group_id group, std::uint64_t owner_hash,
                    std::uint64_t number) noexcept {
  sortable_id id;
  put_big_endian<8>(id.bytes.data(), static_cast<std::uint64_t>(at));
  put_big_endian<2>(id.bytes.data() + 8, group);
  put_big_endian<4>(id.bytes.data() + 10, owner_hash & 0xFFFFFFFF);
  put_big_endian<2>(id.bytes.data() + 14, number & 0xFFFF);
  return id;
}

sortable_id id_from_bytes(std::string_view sixteen) noexcept {
  sortable_id id;
  if (sixteen.size() == id.bytes.size())
    sixteen.copy(reinterpret_cast<char*>(id.bytes.data()), id.bytes.size());
  return id;
}

std::string to_text(const sortable_id& id) {
  std::string out(text_length, '0');
  std::uint64_t high = get_big_endian<8>(id.bytes.data());
  std::uint64_t low = get_big_endian<8>(id.bytes.data() + 8);
  for (std::size_t i = text_length; i-- > 0;) {
    out[i] = crockford[low & 31];
    low = low >> 5 | (high & 31) << 59;
    high >>= 5;
  }
  return out;
}

result<sortable_id> id_from_text(std::string_view text) {
  if (text.size() != text_length || crockford_value(text[0]) > 7)
    return error{errc::malformed, "not an id of this server"};
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  for (char c : text) {
    const int value = crockford_value(c);
    if (value < 0)
      return error{errc::malformed, "not an id of this server"};
    high = high << 5 | low >> 59;
    low = low << 5 | static_cast<std::uint64_t>(value);
  }
  sortable_id id;
  put_big_endian<8>(id.bytes.data(), high);
  put_big_endian<8>(id.bytes.data() + 8, low);
  return id;
}

namespace {

result<sortable_id> parse_prefixed(std::string_view prefix, std::string_view text) {
  if (!text.starts_with(prefix))
    return error{errc::malformed, "expected an id that starts with " + std::string{prefix}};
  return id_from_text(text.substr(prefix.size()));
}

}  // namespace

std::string to_string(const event_id& id) { return "evt_" + to_text(id.id); }

std::string to_string(const run_id& id) { return "run_" + to_text(id.id); }

result<event_id> parse_event_id(std::string_view text) {
  auto id = parse_prefixed("evt_", text);
  if (!id)
    return id.error();
  return event_id{*id};
}

result<run_id> parse_run_id(std::string_view text) {
  auto id = parse_prefixed("run_", text);
  if (!id)
    return id.error();
  return run_id{*id};
}

std::string to_string(const effect_id& id) {
  return "eff_" + to_text(id.run.id) + "_" + std::to_string(id.no);
}

result<effect_id> parse_effect_id(std::string_view text) {
  const auto underscore = text.rfind('_');
  if (!text.starts_with("eff_") || underscore < 5)
    return error{errc::malformed, "expected an id that starts with eff_"};
  auto id = id_from_text(text.substr(4, underscore - 4));
  if (!id)
    return id.error();
  effect_id out{run_id{*id}, 0};
  const auto digits = text.substr(underscore + 1);
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), out.no);
  if (failed != std::errc{} || end != digits.data() + digits.size())
    return error{errc::malformed, "an effect id ends with its number"};
  return out;
}

std::string idempotency_key(const agent_name& agent, const effect_id& id) {
  return to_string(agent) + "/" + to_string(id.run) + "/" + std::to_string(id.no);
}

digest128 digest_of(std::initializer_list<std::string_view> parts) noexcept {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state{XXH3_createState(),
                                                                       &XXH3_freeState};
  XXH3_128bits_reset(state.get());
  for (auto part : parts) {
    std::uint8_t length[8];
    put_big_endian<8>(length, part.size());
    XXH3_128bits_update(state.get(), length, sizeof length);
    XXH3_128bits_update(state.get(), part.data(), part.size());
  }
  const auto hash = XXH3_128bits_digest(state.get());
  digest128 out;
  put_big_endian<8>(out.bytes.data(), hash.high64);
  put_big_endian<8>(out.bytes.data() + 8, hash.low64);
  return out;
}

digest128 digest_from_bytes(std::string_view sixteen) noexcept {
  digest128 out;
  if (sixteen.size() == out.bytes.size())
    sixteen.copy(reinterpret_cast<char*>(out.bytes.data()), out.bytes.size());
  return out;
}

std::string to_hex(const digest128& digest) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  out.reserve(32);
  for (auto byte : digest.bytes) {
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

}  // namespace holdfast
