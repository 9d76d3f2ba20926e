#include "cluster/backup_keeper.hpp"

#include <doctest/doctest.h>

#include <future>
#include <set>
#include <thread>

#include "persistence/keys.hpp"
#include "persistence/memory_store.hpp"
#include "schemas/codec.hpp"

using namespace holdfast;

namespace {

constexpr std::uint16_t kept_partitions = 3;

/// A client that takes what comes, up to some bytes, and then stops taking, or is gone.
class taking_client final : public net::stream_sink {
public:
  bool write(std::shared_ptr<const std::string> bytes) override {
    const std::lock_guard lock{mutex_};
    if (gone_ || taken_.size() + bytes->size() > gone_after)
      gone_ = true;
    else
      taken_ += *bytes;
    largest_ = std::max(largest_, bytes->size());
    return !gone_;
  }
  void close() override {
    const std::lock_guard lock{mutex_};
    closed_ = true;
  }
  bool closed() const override { return false; }
  void on_close(std::function<void()>) override {}
  void on_room(std::size_t, std::function<void()> callback) override {
    const std::lock_guard lock{mutex_};
    if (taken_.size() > stuck_after)
      stuck_.push_back(std::move(callback));
    else
      callback();
  }

  std::string taken() const {
    const std::lock_guard lock{mutex_};
    return taken_;
  }
  std::size_t largest() const {
    const std::lock_guard lock{mutex_};
    return largest_;
  }
  std::size_t gone_after = SIZE_MAX;
  std::size_t stuck_after = SIZE_MAX;

private:
  mutable std::mutex mutex_;
  std::string taken_;
  std::size_t largest_ = 0;
  bool gone_ = false;
  bool closed_ = false;
  std::vector<std::function<void()>> stuck_;
};

/// Groups that cut when they are asked.
struct kept_groups {
  memory_store disk;
  std::mutex mutex;
  std::set<group_id> deaf;
  std::vector<group_id> asked;
  std::map<group_id, std::uint64_t> applied;
  std::shared_ptr<backup_keeper> keeper;
  std::shared_ptr<taking_client> client = std::make_shared<taking_client>();

  explicit kept_groups(std::chrono::milliseconds limit = std::chrono::seconds{60}) {
    for (group_id group = 0; group <= kept_partitions; ++group)
      put(group, 0, "before");
    backup_keeper::parts p;
    p.disk = &disk;
    p.partitions = kept_partitions;
    p.ask_to_cut = [this](group_id group, std::uint64_t epoch) { ask(group, epoch); };
    p.wall_now = [] { return time_us{1'000'000}; };
    p.cluster = "prod";
    p.cut_limit = limit;
    keeper = std::make_shared<backup_keeper>(std::move(p));
  }
  ~kept_groups() { keeper->stop(); }

  void put(group_id group, std::uint64_t epoch, const std::string& value) {
    partition_state state;
    state.backup_epoch = epoch;
    state.term = 5;
    write_set writes;
    writes.put(family::meta, keys::partition_state(group), codec::encode(state));
    writes.put(family::snapshot, keys::group(group).lower + "value", value);
    REQUIRE(disk.write(writes, true));
  }
  void ask(group_id group, std::uint64_t epoch) {
    const std::lock_guard lock{mutex};
    asked.push_back(group);
    if (deaf.contains(group))
      return;
    put(group, epoch, "at the cut");
    keeper->cut(group, epoch, ++applied[group]);
    put(group, epoch, "later");
  }

  /// What it was refused with; `ok` when it was written.
  errc run() {
    auto job = keeper->begin();
    if (!job)
      return job.error().code;
    std::promise<errc> told;
    (*job)->run(
      [&] {
        told.set_value(errc::ok);
        return net::stream_handle{client};
      },
      [&](const error& why) { told.set_value(why.code); });
    return told.get_future().get();
  }
  /// Until another one may be begun.
  bool is_free() {
    for (int i = 0; i < 20'000; ++i) {
      if (keeper->begin())
        return true;
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    return false;
  }
};

}  // namespace

TEST_CASE("backup: holds every group as it was at its cut, the cluster's own last") {
  kept_groups at;
  REQUIRE(at.run() == errc::ok);
  REQUIRE(at.is_free());
  std::vector<backup_group> groups;
  std::vector<std::string> values;
  backup_reader::events on;
  on.chunk = [&](std::string_view chunk) {
    const auto read = read_chunk(chunk);
    REQUIRE(read);
    for (const auto& row : read->rows)
      if (row.in == family::snapshot)
        values.emplace_back(row.value);
    return ok_status();
  };
  backup_reader reader{std::move(on)};
  REQUIRE(reader.feed(at.client->taken()));
  REQUIRE(reader.finish());
  CHECK(reader.header()->cluster == "prod");
  CHECK(reader.header()->partitions == kept_partitions);
  CHECK(values == std::vector<std::string>(kept_partitions + 1, "at the cut"));
  for (const auto& one : reader.groups()) {
    CHECK(one.applied == 1);
    CHECK(one.term == 5);
  }
  CHECK(at.asked == std::vector<group_id>{1, 2, 3, 0});
}

TEST_CASE("backup: epochs grow, whatever the clock and other nodes say") {
  kept_groups at;
  at.put(2, 9'000'000, "of a node whose clock is ahead");
  REQUIRE(at.run() == errc::ok);
  REQUIRE(at.is_free());
  backup_reader first{{}};
  REQUIRE(first.feed(at.client->taken()));
  CHECK(first.header()->epoch == 9'000'001);
  at.client = std::make_shared<taking_client>();
  REQUIRE(at.run() == errc::ok);
  REQUIRE(at.is_free());
  backup_reader second{{}};
  REQUIRE(second.feed(at.client->taken()));
  CHECK(second.header()->epoch == 9'000'002);
}

TEST_CASE("backup: a group that does not cut in time ends it, and nothing stays pinned") {
  kept_groups at{std::chrono::seconds{1}};
  at.deaf = {2};
  CHECK(at.run() == errc::no_quorum);
  REQUIRE(at.is_free());
  at.deaf = {};
  CHECK(at.run() == errc::ok);
}

TEST_CASE("backup: one at a time; the right to take one goes back unused") {
  kept_groups at;
  {
    const auto job = at.keeper->begin();
    REQUIRE(job);
    CHECK(at.run() == errc::conflict);
  }
  CHECK(at.run() == errc::ok);
}

TEST_CASE("backup: a state that was replaced may have jumped over the cut: it is refused") {
  kept_groups at;
  at.deaf = {2};
  std::thread other{[&] {
    for (bool began = false; !began;) {
      const std::lock_guard lock{at.mutex};
      began = !at.asked.empty();
    }
    at.keeper->replaced(2);
  }};
  CHECK(at.run() == errc::unavailable);
  other.join();
}

TEST_CASE("backup: it ends when the client goes away, in small pieces however large the values") {
  kept_groups at;
  at.put(1, 0, "before");
  write_set large;
  large.put(family::memory, keys::group(1).lower + "x", std::string(3'000'000, 'x'));
  REQUIRE(at.disk.write(large, true));
  at.client->gone_after = 1'000'000;
  REQUIRE(at.run() == errc::ok);
  CHECK(at.is_free());
  CHECK(at.client->largest() <= 64U << 10);
  backup_reader reader{{}};
  REQUIRE(reader.feed(at.client->taken()));
  CHECK_FALSE(reader.finish());
}

TEST_CASE("backup: stopping the node ends one whose client takes nothing") {
  kept_groups at;
  at.client->stuck_after = 0;
  REQUIRE(at.run() == errc::ok);
  CHECK(at.run() == errc::conflict);
  at.keeper->stop();
  CHECK(at.run() == errc::draining);
}
