#include "persistence/keys.hpp"

#include <bit>
#include <concepts>

namespace holdfast::keys {

namespace {

constexpr group_id node_prefix = 0xFFFF;  // taken by node metadata: not a group

// Third byte of a group's own keys in `family::meta`.
enum class meta_kind : std::uint8_t {
  partition_state = 1,
  log_state = 2,
  audit_head = 3,
  hard_state = 4,
  snapshot_metadata = 5,
  log_range = 6,
  member = 7,
  cluster_settings = 8,
};

// Whether it is state of the group (goes with a snapshot of it, is replaced by one), or of this node's log of it. Every
// kind must be named.
constexpr bool is_state(meta_kind kind) {
  switch (kind) {
    case meta_kind::partition_state:
    case meta_kind::audit_head:
    case meta_kind::member:
    case meta_kind::cluster_settings:
      return true;
    case meta_kind::log_state:
    case meta_kind::hard_state:
    case meta_kind::snapshot_metadata:
    case meta_kind::log_range:
      return false;
  }
  return false;
}

constexpr std::size_t group_bytes = 2;
constexpr std::size_t id_bytes = 16;

template <std::unsigned_integral T>
void append(std::string& out, T number) {
  for (int shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0; shift -= 8)
    out += static_cast<char>(static_cast<std::uint8_t>(number >> shift));
}

template <std::unsigned_integral T>
T number_at(std::string_view key, std::size_t at) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    number = number << 8 | static_cast<std::uint8_t>(key[at + i]);
  return static_cast<T>(number);
}

// Signed numbers sort as unsigned ones once the sign bit is turned round.
constexpr std::uint64_t sign_bit = std::uint64_t{1} << 63;
std::uint64_t ordered(time_us at) { return std::bit_cast<std::uint64_t>(at) ^ sign_bit; }
time_us from_ordered(std::uint64_t number) { return std::bit_cast<time_us>(number ^ sign_bit); }

std::string start(group_id group) {
  HOLDFAST_ASSERT(group != node_prefix, "group 65535: its keys would be those of the node");
  std::string out;
  out.reserve(64);
  append(out, group);
  return out;
}

std::string start(group_id group, index_kind kind) {
  auto out = start(group);
  out += static_cast<char>(kind);
  return out;
}

std::string meta(group_id group, meta_kind kind) {
  auto out = start(group);
  out += static_cast<char>(kind);
  return out;
}

bool is_letter(char c) { return c >= 'a' && c <= 'z'; }

// `type/key` and 0x00. The first letter is what tells an agent from a kind byte; see agent_of.
void append(std::string& out, const agent_name& name) {
  HOLDFAST_ASSERT(!name.type.empty() && is_letter(name.type[0]) && !name.key.empty(),
                  "a key for something that is not an agent");
  HOLDFAST_ASSERT(name.type.find_first_of(std::string_view("/\0", 2)) == std::string::npos &&
                    name.key.find('\0') == std::string::npos,
                  "an agent's name with a byte that ends it in keys");
  out += name.type;
  out += '/';
  out += name.key;
  out += '\0';
}

std::string agent_prefix(group_id group, const agent_name& name) {
  auto out = start(group);
  append(out, name);
  return out;
}

// The first key behind all that start with `prefix`. There always is one: no prefix is all 0xFF.
std::string behind(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xFF')
    prefix.pop_back();
  HOLDFAST_ASSERT(!prefix.empty(), "a range of keys without an end");
  prefix.back() = static_cast<char>(static_cast<std::uint8_t>(prefix.back()) + 1);
  return prefix;
}

range starting_with(std::string prefix) {
  auto upper = behind(prefix);
  return {std::move(prefix), std::move(upper)};
}

// The agent that starts at `at`, and where its 0x00 is.
struct found_agent {
  agent_name name;
  std::size_t end;
};
std::optional<found_agent> agent_at(std::string_view key, std::size_t at) {
  if (at >= key.size() || !is_letter(key[at]))
    return std::nullopt;
  const auto end = key.find('\0', at);
  const auto slash = key.find('/', at);
  if (end == std::string_view::npos || slash == std::string_view::npos || slash + 1 >= end)
    return std::nullopt;
  return found_agent{
    {std::string(key.substr(at, slash - at)), std::string(key.substr(slash + 1, end - slash - 1))},
    end};
}

}  // namespace

std::string agent(group_id group, const agent_name& name) { return agent_prefix(group, name); }

range agents(group_id group, std::string_view type) {
  auto prefix = start(group);
  if (!type.empty())
    prefix.append(type) += '/';
  return starting_with(std::move(prefix));
}

std::string numbered(group_id group, const agent_name& name, std::uint64_t number) {
  auto out = agent_prefix(group, name);
  append(out, number);
  return out;
}

range numbered_range(group_id group, const agent_name& name, std::uint64_t from, std::uint64_t to) {
  return {numbered(group, name, from), numbered(group, name, to)};
}

std::string timer(group_id group, time_us due, const agent_name& name, std::uint64_t timer_id) {
  auto out = start(group);
  append(out, ordered(due));
  if (name.empty())
    return out;  // a bound: in front of every timer with this due
  append(out, name);
  append(out, timer_id);
  return out;
}

range timers_until(group_id group, time_us due) {
  return {start(group), behind(timer(group, due, {}, 0))};
}

std::string idempotency(group_id group, const digest128& scope) {
  return start(group).append(scope.view());
}

std::string outbox(group_id group, group_id target, std::uint64_t sequence) {
  auto out = start(group);
  append(out, target);
  append(out, sequence);
  return out;
}

range outboxes(group_id group) { return starting_with(start(group)); }

std::string by_id(group_id group, const sortable_id& id) { return start(group).append(id.view()); }

range by_ids(group_id group) { return starting_with(start(group)); }

std::string audit(group_id group, time_us at, std::uint64_t number) {
  auto out = start(group);
  append(out, ordered(at));
  append(out, number);
  return out;
}

range audits(group_id group) { return starting_with(start(group)); }

std::string definition(std::string_view kind, std::string_view name, std::uint32_t version) {
  auto out = start(catalog_group);
  out.append(kind) += '\0';
  out.append(name) += '\0';
  append(out, version);
  return out;
}

range definitions() { return starting_with(start(catalog_group)); }

range group(group_id group) { return starting_with(start(group)); }

std::string ready(group_id group, const agent_name& name) {
  auto out = start(group, index_kind::ready);
  append(out, name);
  return out;
}

range ready_range(group_id group) { return starting_with(start(group, index_kind::ready)); }

std::string agent_run(group_id group, const agent_name& name, const run_id& run) {
  auto out = start(group, index_kind::agent_run);
  append(out, name);
  return out.append(run.id.view());
}

range agent_runs(group_id group, const agent_name& name) {
  auto prefix = start(group, index_kind::agent_run);
  append(prefix, name);
  return starting_with(std::move(prefix));
}

std::string reconcile(group_id group, const effect_id& effect) {
  auto out = start(group, index_kind::reconcile).append(effect.run.id.view());
  append(out, effect.no);
  return out;
}

range reconciles(group_id group) { return starting_with(start(group, index_kind::reconcile)); }

std::string partition_state(group_id group) { return meta(group, meta_kind::partition_state); }

std::string log_state(group_id group) { return meta(group, meta_kind::log_state); }

std::string member(std::string_view node) {
  return meta(catalog_group, meta_kind::member).append(node);
}

std::string cluster_settings() { return meta(catalog_group, meta_kind::cluster_settings); }
range members() { return starting_with(meta(catalog_group, meta_kind::member)); }

std::string audit_head(group_id group) { return meta(group, meta_kind::audit_head); }

std::string hard_state(group_id group) { return meta(group, meta_kind::hard_state); }

std::string snapshot_metadata(group_id group) { return meta(group, meta_kind::snapshot_metadata); }

std::string log_range(group_id group) { return meta(group, meta_kind::log_range); }

std::string log_entry(group_id group, std::uint64_t index) {
  auto out = start(group);
  append(out, index);
  return out;
}

range log_entries(group_id group) { return starting_with(start(group)); }

std::vector<range> state_in_meta(group_id group) {
  std::vector<range> out;
  for (int kind = 0; kind <= 0xFF; ++kind)
    if (is_state(static_cast<meta_kind>(kind)))
      out.push_back(starting_with(meta(group, static_cast<meta_kind>(kind))));
  return out;
}

std::string node(std::string_view name) {
  std::string out;
  append(out, node_prefix);
  return out.append(name);
}

std::optional<agent_name> agent_of(std::string_view key) {
  if (!group_of(key) || key.size() <= group_bytes)
    return std::nullopt;
  // A kind byte is below every letter, and an agent starts with a letter.
  const auto third = static_cast<std::uint8_t>(key[group_bytes]);
  const bool is_ready = third == static_cast<std::uint8_t>(index_kind::ready);
  const bool is_run = third == static_cast<std::uint8_t>(index_kind::agent_run);
  auto found = agent_at(key, is_ready || is_run ? group_bytes + 1 : group_bytes);
  if (!found)
    return std::nullopt;
  const auto rest = key.size() - found->end - 1;
  const bool fits =
    is_run ? rest == id_bytes : rest == 0 || (!is_ready && rest == sizeof(std::uint64_t));
  if (!fits)
    return std::nullopt;
  return std::move(found->name);
}

std::optional<std::uint64_t> number_of(std::string_view key) {
  if (key.size() < group_bytes + sizeof(std::uint64_t))
    return std::nullopt;
  return number_at<std::uint64_t>(key, key.size() - sizeof(std::uint64_t));
}

std::optional<timer_key> timer_of(std::string_view key) {
  constexpr auto agent_starts = group_bytes + sizeof(std::uint64_t);
  if (!group_of(key))
    return std::nullopt;
  auto found = agent_at(key, agent_starts);
  if (!found || key.size() != found->end + 1 + sizeof(std::uint64_t))
    return std::nullopt;
  return timer_key{from_ordered(number_at<std::uint64_t>(key, group_bytes)), std::move(found->name),
                   number_at<std::uint64_t>(key, found->end + 1)};
}

std::optional<sortable_id> id_of(std::string_view key) {
  if (key.size() < group_bytes + id_bytes)
    return std::nullopt;
  return id_from_bytes(key.substr(key.size() - id_bytes));
}

std::optional<effect_id> reconcile_of(std::string_view key) {
  constexpr auto run_starts = group_bytes + 1;
  if (!group_of(key) || key.size() != run_starts + id_bytes + sizeof(std::uint32_t) ||
      key[group_bytes] != static_cast<char>(index_kind::reconcile))
    return std::nullopt;
  return effect_id{run_id{id_from_bytes(key.substr(run_starts, id_bytes))},
                   number_at<std::uint32_t>(key, run_starts + id_bytes)};
}

std::optional<outbox_key> outbox_of(std::string_view key) {
  if (!group_of(key) || key.size() != group_bytes + sizeof(group_id) + sizeof(std::uint64_t))
    return std::nullopt;
  return outbox_key{number_at<group_id>(key, group_bytes),
                    number_at<std::uint64_t>(key, group_bytes + sizeof(group_id))};
}

std::optional<std::uint64_t> log_entry_of(std::string_view key) {
  if (!group_of(key) || key.size() != group_bytes + sizeof(std::uint64_t))
    return std::nullopt;
  return number_at<std::uint64_t>(key, group_bytes);
}

std::optional<group_id> group_of(std::string_view key) {
  if (key.size() < group_bytes)
    return std::nullopt;
  const auto group = number_at<group_id>(key, 0);
  if (group == node_prefix)
    return std::nullopt;
  return group;
}

}  // namespace holdfast::keys
