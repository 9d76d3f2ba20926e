// Data folders out of backups, on a real disk.

#include "cluster/restore.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>

#include "cluster/cluster_identity.hpp"
#include "cluster/raft_store.hpp"
#include "persistence/keys.hpp"
#include "persistence/log_state.hpp"
#include "persistence/memory_store.hpp"
#include "persistence/rocksdb_store.hpp"
#include "runtime/core/feature_levels.hpp"
#include "runtime/core/membership.hpp"
#include "schemas/codec.hpp"

using namespace holdfast;
namespace fs = std::filesystem;

namespace {

constexpr std::uint16_t restored_partitions = 2;
constexpr time_us backup_time = 1'795'248'000'000'000;

/// What a cluster of three holds: two groups with agents of different sizes, and a member in group 0.
memory_store backed_up() {
  memory_store out;
  write_set writes;
  for (group_id group = 0; group <= restored_partitions; ++group) {
    partition_state state;
    state.backup_epoch = 77;
    state.term = 4U + group;
    writes.put(family::meta, keys::partition_state(group), codec::encode(state));
    for (std::size_t i = 0; i < group * 40U; ++i)
      writes.put(family::memory, keys::group(group).lower + "m" + std::to_string(i),
                 std::string(60'000, 'v'));
  }
  writes.put(family::meta, keys::member("n1"),
             codec::encode(node_record{"n1", "old:1", "folder", false, 1}));
  REQUIRE(out.write(writes, true));
  return out;
}

std::string backup_of(const memory_store& from,
                      std::uint32_t level = features_of_this_release.newest) {
  backup_writer writer;
  auto out =
    writer.begin({restored_partitions, level, 77, backup_time, "prod", "n2", "9.9.9", {0, 1, 2}});
  for (group_id group = 0; group <= restored_partitions; ++group) {
    std::string position;
    for (bool more = true; more;) {
      const auto chunk = export_chunk(from, group, position, 64U << 10);
      REQUIRE(chunk);
      out += writer.chunk(chunk->bytes);
      position = chunk->next;
      more = !chunk->last;
    }
    out += writer.end_group({group, 40U + group, 4U + group, *state_hash(from, group)});
  }
  return out + writer.end();
}

struct restore_place {
  fs::path path;
  restore_options options;

  restore_place() {
    auto name = (fs::temp_directory_path() / "holdfast-restore-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
    options.file = path / "backup";
    options.data = path / "data";
    options.node = "n1";
    write(backup_of(backed_up()));
  }
  ~restore_place() { fs::remove_all(path); }

  void write(std::string_view bytes) const {
    std::ofstream out{options.file, std::ios::binary | std::ios::trunc};
    out << bytes;
  }
  /// Refused, and nothing is there that was not before.
  error refused() {
    const bool was_there = fs::exists(options.data);
    auto done = restore_backup(options);
    REQUIRE_FALSE(done);
    CHECK(fs::exists(options.data) == was_there);
    CHECK_FALSE(done.error().context.empty());
    return done.error();
  }
  std::unique_ptr<store> open(const fs::path& data) const {
    auto opened = open_rocksdb({data.string(), 64ULL << 20, false, false, {}});
    REQUIRE(opened);
    return std::move(*opened);
  }
};

cluster_config three_peers() {
  cluster_config out;
  out.name = "other";
  out.advertise = "h1:1";
  out.peers = {{"n1", "h1:1"}, {"n2", "h2:1"}, {"n3", "h3:1"}};
  return out;
}

partition_state partition_of(const reader& disk, group_id group) {
  const auto bytes = disk.get(family::meta, keys::partition_state(group));
  REQUIRE(bytes);
  REQUIRE(*bytes);
  return *codec::decode_partition_state(**bytes);
}

}  // namespace

TEST_CASE("restore: a node alone goes on behind what the backup holds") {
  restore_place at;
  const auto done = restore_backup(at.options);
  REQUIRE(done);
  CHECK(done->groups.size() == restored_partitions + 1);
  CHECK(check_restore_finished(at.options.data));
  const auto disk = at.open(at.options.data);
  CHECK(*disk->get(family::meta, keys::node("partitions")) == "2");
  CHECK(check_not_of_cluster(*disk));
  CHECK(load_membership(*disk)->empty());
  for (group_id group = 0; group <= restored_partitions; ++group) {
    const auto log = read_log_state(*disk, group);
    REQUIRE(log);
    CHECK(log->applied == 41U + group);
    CHECK(log->term == 4U + group);
    const auto state = partition_of(*disk, group);
    CHECK(state.restored_from == backup_time);
    CHECK(state.restoring == (group != catalog_group));
    CHECK(state.backup_epoch == 77);
  }
}

TEST_CASE("restore: the number of partitions may be said when it is that of the backup") {
  restore_place at;
  at.options.cluster.partitions = restored_partitions;
  CHECK(restore_backup(at.options));
}

TEST_CASE("restore: how far it is grows to all there is, for the check and for the folder") {
  restore_place at;
  std::vector<restore_progress> told;
  at.options.on_progress = [&](const restore_progress& now) { told.push_back(now); };
  REQUIRE(restore_backup(at.options));
  REQUIRE(told.size() > 4);
  CHECK_FALSE(told.front().restoring);
  const auto second =
    std::find_if(told.begin(), told.end(), [](const auto& one) { return one.restoring; });
  REQUIRE(second != told.end());
  for (const auto& last : {*(second - 1), told.back()}) {
    CHECK(last.groups == restored_partitions + 1U);
    CHECK(last.groups_all == restored_partitions + 1U);
    CHECK(last.bytes == fs::file_size(at.options.file));
    CHECK(last.bytes_all == last.bytes);
  }
  for (std::size_t i = 1; i < told.size(); ++i)
    if (told[i].restoring == told[i - 1].restoring) {
      CHECK(told[i].bytes >= told[i - 1].bytes);
      CHECK(told[i].groups >= told[i - 1].groups);
    }
}

TEST_CASE("restore: nodes of the same peers are replicas, with the peers as members") {
  restore_place at;
  at.options.cluster = three_peers();
  std::vector<std::vector<digest128>> hashes;
  for (const std::string node : {"n1", "n3"}) {
    at.options.node = node;
    at.options.data = at.path / node;
    REQUIRE(restore_backup(at.options));
    const auto disk = at.open(at.options.data);
    CHECK(open_identity(*disk, three_peers(), node)->may_form);
    CHECK(load_membership(*disk)->empty());  // the first leader records those that form it
    auto& of_node = hashes.emplace_back();
    for (group_id group = 0; group <= restored_partitions; ++group) {
      of_node.push_back(*state_hash(*disk, group));
      const auto log = consensus::load(*disk, group);
      REQUIRE(log);
      REQUIRE(log->stored.snapshot);
      CHECK(log->stored.applied == 41U + group);
      CHECK(log->stored.snapshot->index == 41U + group);
      CHECK(log->stored.hard.term == 4U + group);
      CHECK(log->stored.entries.empty());
      for (const auto* member : {"n1", "n2", "n3"})
        CHECK(log->stored.snapshot->members.is_voter(node_id_of(member)));
    }
  }
  CHECK(hashes.front() == hashes.back());
}

TEST_CASE("restore: a file that is cut short, changed or longer is refused and nothing is made") {
  restore_place at;
  const auto whole = backup_of(backed_up());
  for (const auto bytes : {std::size_t{0}, std::size_t{10}, whole.size() / 2, whole.size() - 1}) {
    at.write(whole.substr(0, bytes));
    CHECK(at.refused().code == errc::corrupt);
  }
  for (const auto place : {std::size_t{3}, std::size_t{40}, whole.size() / 3, whole.size() - 3}) {
    auto changed = whole;
    changed[place] ^= 4;
    at.write(changed);
    CHECK(at.refused().code == errc::corrupt);
  }
  at.write(whole + "x");
  CHECK(at.refused().code == errc::corrupt);
  fs::remove(at.options.file);
  CHECK(at.refused().code == errc::not_found);
}

TEST_CASE("restore: a file of a newer version is refused by its name") {
  restore_place at;
  at.write(backup_of(backed_up(), features_of_this_release.newest + 1));
  const auto why = at.refused();
  CHECK(why.code == errc::conflict);
  CHECK(why.context.find("9.9.9") != std::string::npos);
}

TEST_CASE("restore: a file without one of its groups is refused") {
  restore_place at;
  backup_writer writer;
  const auto from = backed_up();
  auto bytes = writer.begin({restored_partitions, 1, 77, backup_time, "prod", "n2", "0", {0, 1}});
  for (group_id group = 0; group < restored_partitions; ++group) {
    bytes += writer.chunk(export_chunk(from, group, {}, 64U << 20)->bytes);
    bytes += writer.end_group({group, 40, 4, *state_hash(from, group)});
  }
  at.write(bytes + writer.end());
  CHECK(at.refused().context.find("every group") != std::string::npos);
}

TEST_CASE("restore: a folder that is not empty is refused and left as it is") {
  restore_place at;
  fs::create_directory(at.options.data);
  std::ofstream{at.options.data / "mine"} << "mine";
  CHECK(at.refused().code == errc::conflict);
  CHECK(fs::file_size(at.options.data / "mine") == 4);
  fs::remove(at.options.data / "mine");
  CHECK(restore_backup(at.options));
  CHECK(at.refused().code == errc::conflict);
}

TEST_CASE("restore: settings that cannot be those of the folder are refused") {
  restore_place at;
  for (const std::uint16_t other : {std::uint16_t{4}, partitions_default}) {
    at.options.cluster.partitions = other;
    CHECK(at.refused().context.find("2 partitions") != std::string::npos);
  }
  at.options.cluster = three_peers();
  at.options.node = "n4";
  CHECK(at.refused().context.find("`n4`") != std::string::npos);
  at.options.cluster.peers.clear();
  CHECK(at.refused().code == errc::conflict);
}

TEST_CASE(
  "restore: while it is not finished no node starts with it; when it fails nothing is left") {
  for (const bool was_there : {false, true}) {
    restore_place at;
    if (was_there)
      fs::create_directory(at.options.data);
    bool looked = false;
    at.options.on_progress = [&](const restore_progress& now) {
      if (!now.restoring || std::exchange(looked, true))
        return;
      CHECK(check_restore_finished(at.options.data).error().code == errc::conflict);
      fs::resize_file(at.options.file, 2'000'000);  // behind what has been read
    };
    CHECK(at.refused().code == errc::corrupt);
    CHECK(looked);
    if (was_there)
      CHECK(fs::is_empty(at.options.data));
    CHECK(check_restore_finished(at.options.data));
  }
}
