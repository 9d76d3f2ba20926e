#pragma once
// What the tests of a group's export and import share: states, and all there is of a group.

#include <random>

#include "persistence/group_import.hpp"
#include "persistence/log_state.hpp"
#include "tests/unit/persistence/fixture.hpp"

namespace holdfast::testing {

inline std::string random_bytes(std::mt19937& random, std::size_t size) {
  std::string out(size, '\0');
  for (auto& c : out)
    c = static_cast<char>(random());
  return out;
}

/// Of sizes that end up within and outside of blob files.
inline std::string random_value(std::mt19937& random) {
  constexpr std::array<std::size_t, 5> sizes{0, 10, 300, 5'000, 40'000};
  return random_bytes(random, random() % (1 + sizes[random() % sizes.size()]));
}

/// Keys in every family of the state, also the first and the last there can be.
inline write_set random_state(std::mt19937& random, group_id group, std::size_t keys_max = 12) {
  write_set out;
  const auto prefix = keys::group(group).lower;
  out.put(family::meta, keys::partition_state(group), random_value(random));
  for (std::size_t i = 1; i < family_count; ++i) {
    const auto in = static_cast<family>(i);
    if (in == family::log)
      continue;
    std::set<std::string> taken;
    if (random() % 4 == 0)
      taken.insert(prefix);
    if (random() % 4 == 0)
      taken.insert(prefix + std::string(3, '\xFF'));
    const auto wanted = random() % (keys_max + 1);
    while (taken.size() < wanted)
      taken.insert(prefix + random_bytes(random, 1 + random() % 8));
    for (const auto& key : taken)
      out.put(in, key, random_value(random));
  }
  return out;
}

/// What no export holds: the log and its books.
inline write_set random_log(std::mt19937& random, group_id group) {
  write_set out;
  put_log_state(group, {random() % 100, random() % 100}, out);
  const auto prefix = keys::group(group).lower;
  for (char i = 0; i < 5; ++i)
    out.put(family::log, prefix + std::string(1, i), random_value(random));
  return out;
}

inline void apply(store& to, const write_set& writes) { REQUIRE(to.write(writes, true)); }

/// All there is of the group, in every family.
inline std::array<rows, family_count> all_of(const reader& from, group_id group) {
  std::array<rows, family_count> out;
  const auto range = keys::group(group);
  for (std::size_t i = 0; i < family_count; ++i)
    out[i] = walk(from, static_cast<family>(i), range.lower, range.upper);
  return out;
}

inline digest128 hash_of_state(const reader& from, group_id group) {
  const auto hash = state_hash(from, group);
  REQUIRE(hash);
  return *hash;
}

inline group_chunk chunk_of(const reader& from, group_id group, std::string_view position = {},
                            std::size_t bytes_max = chunk_bytes_default) {
  auto chunk = export_chunk(from, group, position, bytes_max);
  REQUIRE(chunk);
  return std::move(*chunk);
}

inline std::unique_ptr<group_import> begin_import(store& to, group_id group) {
  auto begun = to.import_group(group);
  REQUIRE(begun);
  return std::move(*begun);
}

/// Everything from `position()` on.
inline void take_all(const reader& from, group_import& into,
                     std::size_t bytes_max = chunk_bytes_default) {
  while (!into.complete())
    REQUIRE(into.add(chunk_of(from, into.group(), into.position(), bytes_max).bytes));
}

inline void copy_group(const reader& from, store& to, group_id group, const write_set& extra = {},
                       std::size_t bytes_max = chunk_bytes_default) {
  const auto into = begin_import(to, group);
  take_all(from, *into, bytes_max);
  CHECK(into->digest() == hash_of_state(from, group));
  REQUIRE(into->install(extra));
}

inline errc code_of(const status& done) { return done ? errc::ok : done.error().code; }

}  // namespace holdfast::testing
