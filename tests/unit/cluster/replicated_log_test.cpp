// The replicated log with real threads, between nodes of one process: what its shell adds to the consensus host, which
// has a simulation of its own.

#include "cluster/replicated_log.hpp"

#include <algorithm>
#include <set>

#include <doctest/doctest.h>
#include "persistence/memory_store.hpp"

using namespace holdfast;

namespace {

constexpr std::chrono::seconds wait_max{60};
// Long enough that a busy machine elects nobody in the middle of a test.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint32_t election_ms = 2'000;
#else
constexpr std::uint32_t election_ms = 800;
#endif

std::shared_ptr<const turn_record> numbered(std::int64_t number) {
  auto out = std::make_shared<turn_record>();
  out->at = number;
  out->agent = {"test", "a"};
  out->facts.push_back(agent_deleted{});
  return out;
}

/// All keys of a group begin with its number.
std::string group_prefix(group_id group) {
  return {static_cast<char>(group >> 8), static_cast<char>(group & 0xff)};
}
std::string place(group_id group, std::uint64_t count) {
  return group_prefix(group) + std::to_string(1'000'000 + count);
}

/// Writes down every record under its place in the group.
class listing_machine final : public state_machine {
public:
  void apply(const reader& view, group_id group, std::uint64_t,
             std::span<const std::shared_ptr<const turn_record>> records, write_set& out) override {
    if (!count_.contains(group))
      resume(view, group);
    for (const auto& record : records)
      out.put(family::journal, place(group, ++count_[group]), std::to_string(record->at));
  }
  /// After a restart it goes on where its store is.
  void resume(const reader& from, group_id group) {
    count_[group] = 0;
    for (auto at = from.scan(family::journal, group_prefix(group), group_prefix(group) + '~');
         at->valid(); at->next())
      ++count_[group];
  }
  void replaced(group_id group) override { count_.erase(group); }

private:
  std::map<group_id, std::uint64_t> count_;
};

std::vector<std::string> listed(const reader& from, group_id group) {
  std::vector<std::string> out;
  for (auto at = from.scan(family::journal, group_prefix(group), group_prefix(group) + '~');
       at->valid(); at->next())
    out.emplace_back(at->value());
  return out;
}

class cluster_in_memory;

/// One node: its disk stays when its log is stopped.
class test_node final : public consensus_peers, public commit_listener {
public:
  test_node(cluster_in_memory& in, consensus::node_id id) : in_(in), id_(id) {}

  void start(replicated_log_options options,
             const std::map<group_id, consensus::configuration>& groups) {
    options.host.core.self = id_;
    machine_ = {};
    snapshot_exchange::parts moves;
    moves.disk = &disk;
    moves.send = [this](consensus::node_id to, const link_frame& frame) {
      return send_frame(to, frame);
    };
    moves.ended = [this](group_id group, std::uint64_t snapshot, bool fetched) {
      installs += fetched ? 1 : 0;
      log->fetched(group, snapshot, fetched);
    };
    moves.steady_ms = [] {
      return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
    };
    snapshots = std::make_shared<snapshot_exchange>(std::move(moves));
    log = std::make_shared<replicated_log>(disk, machine_, *this, *this, *snapshots, options,
                                           [](const error& why) { FAIL(why.context); });
    REQUIRE(log->start(groups));
  }
  void stop() {
    snapshots->stop();
    log->stop();
    const std::lock_guard lock{mutex};
    led.clear();
  }

  void send(consensus::node_id to, std::vector<codec::group_message> messages) override;
  bool send_frame(consensus::node_id to, const link_frame& frame);
  void leading(group_id group, std::uint64_t term) override {
    const std::lock_guard lock{mutex};
    led[group] = term;
  }
  void committed(group_id, std::uint64_t term, std::uint64_t,
                 std::vector<std::shared_ptr<const turn_record>> records) override {
    const std::lock_guard lock{mutex};
    for (auto& record : records) {
      acked.emplace_back(term, record->at);
      objects.insert(record.get());
    }
  }
  void followed(group_id, std::uint64_t,
                std::vector<std::shared_ptr<const turn_record>> records) override {
    const std::lock_guard lock{mutex};
    followed_count += records.size();
  }
  void cut(group_id group, std::uint64_t epoch, std::uint64_t index) override {
    const std::lock_guard lock{mutex};
    at_cut[epoch] = {index, listed(disk, group)};
  }
  void lost(group_id group, std::uint64_t term, errc) override {
    const std::lock_guard lock{mutex};
    CHECK(led[group] == term);
    led.erase(group);
    ++losses;
  }
  std::size_t loss_count() {
    const std::lock_guard lock{mutex};
    return losses;
  }
  std::uint64_t term_of(group_id group) {
    const std::lock_guard lock{mutex};
    const auto found = led.find(group);
    return found == led.end() ? 0 : found->second;
  }

  memory_store disk;
  std::shared_ptr<snapshot_exchange> snapshots;
  std::shared_ptr<replicated_log> log;
  std::atomic<int> installs{0};
  std::mutex mutex;
  std::map<group_id, std::uint64_t> led;
  std::vector<std::pair<std::uint64_t, std::int64_t>> acked;  // term and number
  std::set<const turn_record*> objects;
  std::map<std::uint64_t, std::pair<std::uint64_t, std::vector<std::string>>> at_cut;
  std::size_t followed_count = 0;
  std::size_t losses = 0;

private:
  cluster_in_memory& in_;
  const consensus::node_id id_;
  listing_machine machine_;
};

class cluster_in_memory {
public:
  explicit cluster_in_memory(std::size_t count, std::vector<group_id> groups = {1}) {
    consensus::configuration members;
    for (consensus::node_id id = 1; id <= count; ++id)
      members.members.push_back({id, "node" + std::to_string(id), consensus::role::voter});
    for (const auto group : groups)
      groups_.emplace(group, members);
    options_.host.core.election_timeout_ms = election_ms;
    options_.host.core.heartbeat_ms = election_ms / 8;
    options_.host.lease_ms = election_ms - election_ms / 10;
    for (consensus::node_id id = 1; id <= count; ++id) {
      down_.insert(id);
      nodes_.emplace(id, std::make_unique<test_node>(*this, id));
    }
  }
  ~cluster_in_memory() {
    for (auto& [id, node] : nodes_)
      if (node->log)
        node->stop();  // its exchange first, whose thread may be telling its log
  }
  void start() {
    for (auto& [id, node] : nodes_)
      start(id);
  }
  void start(consensus::node_id id) {
    nodes_.at(id)->start(options_, groups_);
    mend(id);
  }
  void stop(consensus::node_id id) {
    cut(id);
    nodes_.at(id)->stop();
  }
  /// Nothing gets to it or away from it until `start`, or `mend`.
  void cut(consensus::node_id id) {
    const std::lock_guard lock{mutex_};
    down_.insert(id);
  }
  void mend(consensus::node_id id) {
    const std::lock_guard lock{mutex_};
    down_.erase(id);
  }
  void carry(consensus::node_id from, consensus::node_id to,
             std::vector<codec::group_message> messages) {
    std::shared_ptr<replicated_log> target;  // stays while it is told, also when it is replaced
    {
      const std::lock_guard lock{mutex_};
      if (down_.contains(from) || down_.contains(to))
        return;
      target = nodes_.at(to)->log;
    }
    // Through its bytes, so that nothing is shared between nodes.
    auto read = codec::decode_raft_frame(codec::encode_raft_frame(messages));
    REQUIRE(read);
    target->receive(from, std::move(*read));
  }
  bool carry(consensus::node_id from, consensus::node_id to, const link_frame& frame) {
    std::shared_ptr<snapshot_exchange> target;
    {
      const std::lock_guard lock{mutex_};
      if (down_.contains(from) || down_.contains(to))
        return false;
      target = nodes_.at(to)->snapshots;
    }
    if (const auto* request = std::get_if<link::snapshot_request>(&frame))
      target->received(from, *request);
    else
      target->received(from, link::snapshot_chunk{std::get<link::snapshot_chunk>(frame)});
    return true;
  }
  test_node& at(consensus::node_id id) { return *nodes_.at(id); }
  replicated_log_options& options() { return options_; }

  template <class Condition>
  static bool wait_until(Condition holds) {
    const auto until = std::chrono::steady_clock::now() + wait_max;
    while (!holds()) {
      if (std::chrono::steady_clock::now() > until)
        return false;
      std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
    return true;
  }
  /// Who leads the group, apart from some node; waits for it.
  consensus::node_id leader(group_id group, consensus::node_id apart_from = 0) {
    consensus::node_id found = 0;
    REQUIRE(wait_until([&] {
      for (auto& [id, node] : nodes_)
        if (id != apart_from && node->log && node->log->leads(group, node->term_of(group)))
          found = id;
      return found != 0;
    }));
    return found;
  }
  /// Proposes these numbers at the leader and waits until all are acked there.
  void commit(consensus::node_id id, group_id group, std::int64_t from, std::int64_t to) {
    auto& node = at(id);
    const auto term = node.term_of(group);
    std::size_t before = 0;
    {
      const std::lock_guard lock{node.mutex};
      before = node.acked.size();
    }
    for (auto number = from; number <= to; ++number)
      REQUIRE(node.log->propose(group, term, numbered(number)));
    REQUIRE(wait_until([&] {
      const std::lock_guard lock{node.mutex};
      return node.acked.size() == before + static_cast<std::size_t>(to - from + 1);
    }));
  }

private:
  replicated_log_options options_;
  std::map<group_id, consensus::configuration> groups_;
  std::map<consensus::node_id, std::unique_ptr<test_node>> nodes_;
  std::mutex mutex_;
  std::set<consensus::node_id> down_;
};

void test_node::send(consensus::node_id to, std::vector<codec::group_message> messages) {
  in_.carry(id_, to, std::move(messages));
}

bool test_node::send_frame(consensus::node_id to, const link_frame& frame) {
  return in_.carry(id_, to, frame);
}

std::vector<std::string> numbers(std::int64_t from, std::int64_t to) {
  std::vector<std::string> out;
  for (auto number = from; number <= to; ++number)
    out.push_back(std::to_string(number));
  return out;
}

}  // namespace

TEST_CASE(
  "replicated_log: an only voter leads, and gives back the very records that were proposed") {
  cluster_in_memory all{1};
  all.start();
  const auto leader = all.leader(1);
  std::vector<std::shared_ptr<const turn_record>> proposed;
  auto& node = all.at(leader);
  for (int number = 1; number <= 100; ++number) {
    proposed.push_back(numbered(number));
    REQUIRE(node.log->propose(1, node.term_of(1), proposed.back()));
  }
  REQUIRE(cluster_in_memory::wait_until([&] {
    const std::lock_guard lock{node.mutex};
    return node.acked.size() == 100;
  }));
  for (const auto& record : proposed)
    CHECK(node.objects.contains(record.get()));
  CHECK(listed(node.disk, 1) == numbers(1, 100));
}

TEST_CASE("replicated_log: what is acked by the leader is applied by all, in its order") {
  cluster_in_memory all{3, {1, 2, 3}};
  all.start();
  for (const group_id group : {group_id{1}, group_id{2}, group_id{3}})
    all.commit(all.leader(group), group, 1, 300);
  for (consensus::node_id id = 1; id <= 3; ++id)
    for (const group_id group : {group_id{1}, group_id{2}, group_id{3}})
      CHECK(cluster_in_memory::wait_until(
        [&] { return listed(all.at(id).disk, group) == numbers(1, 300); }));
}

TEST_CASE(
  "replicated_log: when its leader is gone another one leads, with everything that was acked") {
  cluster_in_memory all{3};
  all.start();
  const auto first = all.leader(1);
  all.commit(first, 1, 1, 50);
  const auto old_term = all.at(first).term_of(1);
  all.stop(first);
  const auto second = all.leader(1, first);
  CHECK(second != first);
  CHECK(all.at(second).term_of(1) > old_term);
  CHECK(listed(all.at(second).disk, 1) == numbers(1, 50));
  all.commit(second, 1, 51, 100);
  all.start(first);
  CHECK(cluster_in_memory::wait_until(
    [&] { return listed(all.at(first).disk, 1) == numbers(1, 100); }));
}

TEST_CASE(
  "replicated_log: a leader that is cut off stops leading, and takes nothing for its term") {
  cluster_in_memory all{3};
  all.start();
  const auto first = all.leader(1);
  auto& node = all.at(first);
  const auto term = node.term_of(1);
  const auto losses = node.loss_count();
  all.cut(first);
  REQUIRE(cluster_in_memory::wait_until([&] { return !node.log->leads(1, term); }));
  REQUIRE(cluster_in_memory::wait_until([&] { return node.term_of(1) == 0; }));
  const auto refused = node.log->propose(1, term, numbered(1));
  REQUIRE(!refused);
  CHECK(refused.error().code == errc::not_leader);
  CHECK(node.loss_count() > losses);
  const auto second = all.leader(1, first);
  all.commit(second, 1, 7, 9);
  all.mend(first);
  CHECK(cluster_in_memory::wait_until([&] { return listed(node.disk, 1) == numbers(7, 9); }));
}

TEST_CASE("replicated_log: a transfer moves the group without losing what is acked") {
  cluster_in_memory all{3};
  all.start();
  const auto first = all.leader(1);
  all.commit(first, 1, 1, 20);
  const auto next = first == 1 ? consensus::node_id{2} : consensus::node_id{1};
  REQUIRE(cluster_in_memory::wait_until([&] {
    all.at(first).log->post([next](consensus::raft_host& host, std::uint64_t now) {
      (void)host.transfer(now, 1, next);  // refused while the one before is under way
    });
    return all.at(next).term_of(1) != 0;
  }));
  // It may hear of it last: the other two are enough.
  CHECK(cluster_in_memory::wait_until([&] { return all.at(first).term_of(1) == 0; }));
  all.commit(next, 1, 21, 40);
  CHECK(listed(all.at(next).disk, 1) == numbers(1, 40));
}

TEST_CASE("replicated_log: whose log does not answer is not asked to lead until it does") {
  cluster_in_memory all{3};
  all.start();
  const auto leader = all.leader(1);
  const auto silent = leader % 3 + 1;
  auto& node = all.at(leader);
  const auto succeeds = [&] {
    const auto can = node.log->standings().at(0).successors;
    return std::find(can.begin(), can.end(), silent) != can.end();
  };
  REQUIRE(cluster_in_memory::wait_until(succeeds));
  all.cut(silent);
  REQUIRE(cluster_in_memory::wait_until([&] { return !succeeds(); }));
  std::atomic<bool> asked{false};
  node.log->post([&, silent](consensus::raft_host& host, std::uint64_t now) {
    CHECK_FALSE(host.transfer(now, 1, silent));
    asked = true;
  });
  REQUIRE(cluster_in_memory::wait_until([&] { return asked.load(); }));
  all.commit(leader, 1, 1, 1);
  all.mend(silent);
  CHECK(cluster_in_memory::wait_until(succeeds));
}

TEST_CASE("replicated_log: all stopped and started again, everything acked is there and goes on") {
  cluster_in_memory all{3};
  all.start();
  all.commit(all.leader(1), 1, 1, 200);
  for (consensus::node_id id = 1; id <= 3; ++id)
    all.stop(id);
  for (consensus::node_id id = 1; id <= 3; ++id)
    all.at(id).disk.crash();  // and the power fails
  all.start();
  const auto leader = all.leader(1);
  CHECK(listed(all.at(leader).disk, 1) == numbers(1, 200));
  all.commit(leader, 1, 201, 210);
  for (consensus::node_id id = 1; id <= 3; ++id)
    CHECK(
      cluster_in_memory::wait_until([&] { return listed(all.at(id).disk, 1) == numbers(1, 210); }));
}

TEST_CASE("replicated_log: a node that missed more than the log still holds gets the whole state") {
  cluster_in_memory all{3};
  all.options().host.trailing_entries = 20;
  all.options().host.trim_step_entries = 5;
  all.start();
  const auto leader = all.leader(1);
  const consensus::node_id behind = leader == 1 ? 2 : 1;
  all.commit(leader, 1, 1, 10);
  all.stop(behind);
  for (std::int64_t number = 11; number <= 300; ++number)
    all.commit(leader, 1, number, number);  // an entry each
  all.start(behind);
  CHECK(cluster_in_memory::wait_until(
    [&] { return listed(all.at(behind).disk, 1) == numbers(1, 300); }));
  CHECK(all.at(behind).installs >= 1);
  all.commit(all.leader(1), 1, 301, 310);
  CHECK(cluster_in_memory::wait_until(
    [&] { return listed(all.at(behind).disk, 1) == numbers(1, 310); }));
  // What was installed is there after a restart as well.
  all.stop(behind);
  all.at(behind).disk.crash();
  all.start(behind);
  CHECK(cluster_in_memory::wait_until(
    [&] { return listed(all.at(behind).disk, 1) == numbers(1, 310); }));
}

TEST_CASE(
  "replicated_log: a node that is behind in more groups than are offered at one time gets them "
  "all") {
  std::vector<group_id> groups;
  for (group_id group = 1; group <= 3 * snapshot_exchange::pinned_max; ++group)
    groups.push_back(group);
  cluster_in_memory all{3, groups};
  all.options().host.trailing_entries = 5;
  all.options().host.trim_step_entries = 5;
  all.start();
  for (const auto group : groups)
    all.commit(all.leader(group), group, 1, 1);
  all.stop(3);
  for (const auto group : groups) {
    const auto leader = all.leader(group, 3);
    for (std::int64_t number = 2; number <= 30; ++number)
      all.commit(leader, group, number, number);  // an entry each
  }
  all.start(3);
  for (const auto group : groups)
    CHECK(cluster_in_memory::wait_until(
      [&] { return listed(all.at(3).disk, group) == numbers(1, 30); }));
  CHECK(all.at(3).installs > static_cast<int>(snapshot_exchange::pinned_max));
}

TEST_CASE("replicated_log: a full queue refuses, and has room again when it is committed") {
  cluster_in_memory all{3};
  all.options().queue_records_max = 10;
  all.start();
  const auto leader = all.leader(1);
  auto& node = all.at(leader);
  const auto term = node.term_of(1);
  for (consensus::node_id id = 1; id <= 3; ++id)
    if (id != leader)
      all.cut(id);  // nothing is committed from here on
  std::size_t taken = 0;
  errc refused = errc::ok;
  for (int number = 0; number < 1'000 && refused == errc::ok; ++number) {
    const auto proposed = node.log->propose(1, term, numbered(number));
    taken += proposed ? 1 : 0;
    refused = proposed ? errc::ok : proposed.error().code;
  }
  CHECK(refused == errc::overloaded);
  CHECK(taken == 20);  // no new events: they have the reserve
  for (consensus::node_id id = 1; id <= 3; ++id)
    all.mend(id);
  auto& next = all.at(all.leader(1));
  CHECK(cluster_in_memory::wait_until(
    [&] { return bool(next.log->propose(1, next.term_of(1), numbered(5'000))); }));
}

TEST_CASE("replicated_log: every node holds the same at a backup cut, and just that") {
  cluster_in_memory all{3};
  all.start();
  auto& node = all.at(all.leader(1));
  const auto term = node.term_of(1);
  for (std::int64_t number = 1; number <= 300; ++number) {
    REQUIRE(node.log->propose(1, term, numbered(number)));
    if (number % 100 != 0)
      continue;
    auto cut = std::make_shared<turn_record>();
    cut->at = -number;
    cut->facts.push_back(backup_cut{static_cast<std::uint64_t>(number)});
    REQUIRE(node.log->propose(1, term, std::move(cut)));
  }
  for (consensus::node_id id = 1; id <= 3; ++id)
    REQUIRE(
      cluster_in_memory::wait_until([&] { return listed(all.at(id).disk, 1).size() == 303; }));
  for (consensus::node_id id = 1; id <= 3; ++id) {
    auto& one = all.at(id);
    all.stop(id);
    REQUIRE(one.at_cut.size() == 3);
    std::vector<std::string> expected;
    for (std::int64_t number = 100; number <= 300; number += 100) {
      const auto more = numbers(number - 99, number);
      expected.insert(expected.end(), more.begin(), more.end());
      expected.push_back(std::to_string(-number));
      const auto& [index, held] = one.at_cut.at(static_cast<std::uint64_t>(number));
      CHECK(held == expected);
      CHECK(index == node.at_cut.at(static_cast<std::uint64_t>(number)).first);
    }
  }
}
