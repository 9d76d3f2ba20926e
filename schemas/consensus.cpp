#include "schemas/consensus.hpp"

#include <algorithm>

namespace holdfast::consensus {

namespace {

constexpr std::uint8_t configuration_format = 1;
constexpr std::size_t members_max = 1024;

void put_u64(std::string& out, std::uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8)
    out += static_cast<char>((value >> shift) & 0xff);
}

bool take_u64(std::string_view& in, std::uint64_t& value) {
  if (in.size() < 8)
    return false;
  value = 0;
  for (std::size_t i = 8; i-- > 0;)
    value = value << 8 | static_cast<unsigned char>(in[i]);
  in.remove_prefix(8);
  return true;
}

}  // namespace

const member* configuration::find(node_id id) const noexcept {
  for (const auto& m : members)
    if (m.id == id)
      return &m;
  return nullptr;
}

std::size_t configuration::voters() const noexcept {
  return static_cast<std::size_t>(std::count_if(
    members.begin(), members.end(), [](const member& m) { return m.as == role::voter; }));
}

bool configuration::is_voter(node_id id) const noexcept {
  const auto* found = find(id);
  return found && found->as == role::voter;
}

status check(const configuration& value) {
  if (value.voters() == 0 || value.members.size() > members_max)
    return error{errc::malformed, "a configuration needs a voter, and at most 1024 members"};
  for (auto m = value.members.begin(); m != value.members.end(); ++m) {
    if (m->id == 0 || m->address.empty() || m->address.find('\0') != std::string::npos)
      return error{errc::malformed, "a member needs an id and an address"};
    for (auto other = value.members.begin(); other != m; ++other)
      if (other->id == m->id || other->address == m->address)
        return error{errc::malformed, "two members have one id or address"};
  }
  return ok_status();
}

std::string encode(const configuration& value) {
  std::string out(1, static_cast<char>(configuration_format));
  put_u64(out, value.members.size());
  for (const auto& m : value.members) {
    put_u64(out, m.id);
    out += m.address;
    out += '\0';
    out += static_cast<char>(m.as);
  }
  out.resize((out.size() + 7) / 8 * 8, '\0');
  return out;
}

result<configuration> decode_configuration(std::string_view bytes) {
  const error bad{errc::malformed, "not an encoded configuration"};
  std::uint64_t count = 0;
  if (bytes.empty() || bytes.front() != static_cast<char>(configuration_format))
    return bad;
  bytes.remove_prefix(1);
  if (!take_u64(bytes, count) || count > members_max)
    return bad;
  configuration out;
  for (; count > 0; --count) {
    member m;
    if (!take_u64(bytes, m.id))
      return bad;
    const auto end = bytes.find('\0');
    if (end == std::string_view::npos || end + 1 >= bytes.size())
      return bad;
    m.address = bytes.substr(0, end);
    const auto as = static_cast<std::uint8_t>(bytes[end + 1]);
    if (as > static_cast<std::uint8_t>(role::spare))
      return bad;
    m.as = static_cast<role>(as);
    bytes.remove_prefix(end + 2);
    out.members.push_back(std::move(m));
  }
  if (auto right = check(out); !right)
    return right.error();
  return out;
}

stored_group new_group(const configuration& members) {
  stored_group out;
  out.hard.term = 1;
  out.entries.push_back(
    {1, entry_kind::change, std::make_shared<const std::string>(encode(members))});
  return out;
}

std::uint64_t term_of(const message& value) noexcept {
  return std::visit([](const auto& body) { return body.term; }, value);
}

}  // namespace holdfast::consensus
