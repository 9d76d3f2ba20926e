// The core and the host by hand: each workaround beside the defect it is for, and every refusal.

#include <doctest/doctest.h>

#include <set>

#include "cluster/raft_host.hpp"
#include "cluster/raft_turn.hpp"

namespace holdfast::consensus {

namespace {

configuration members_of(std::initializer_list<node_id> ids) {
  configuration out;
  for (const auto id : ids)
    out.members.push_back({id, "node-" + std::to_string(id), role::voter});
  return out;
}

std::shared_ptr<const std::string> data(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

entry command(std::uint64_t term) { return {term, entry_kind::command, data("x")}; }

stored_group stored_in_term(std::uint64_t term, std::initializer_list<node_id> ids) {
  auto out = new_group(members_of(ids));
  out.hard.term = term;
  return out;
}

/// A core with its last output.
struct bench {
  explicit bench(node_id self, const stored_group& stored, raft_workarounds fix = {}) {
    core_options options;
    options.self = self;
    options.workarounds = fix;
    auto started = raft_core::start(options, stored, now, updates);
    REQUIRE(started);
    core = std::move(*started);
  }

  status receive(node_id from, const message& body) {
    updates.clear();
    return core->receive(++now, from, body, updates);
  }
  void wait(std::uint64_t ms) {
    updates.clear();
    core->tick(now += ms, updates);
  }
  std::uint64_t propose() {
    updates.clear();
    const auto index = core->propose(now, data("x"), updates);
    REQUIRE(index);
    core->persisted(now, *index, updates);
    return *index;
  }
  /// By the votes of node 2, of three.
  void elect() {
    wait(2000);
    REQUIRE(receive(2, request_vote_result{core->term() + 1, true, true}));
    REQUIRE(receive(2, request_vote_result{core->term(), true, false}));
    REQUIRE(core->state() == core_state::leader);
  }
  /// The last message of this kind to that node.
  template <class Body>
  std::optional<Body> sent(node_id to) const {
    std::optional<Body> found;
    for (const auto& u : updates)
      for (const auto& m : u.messages)
        if (m.to == to && std::holds_alternative<Body>(m.body))
          found = std::get<Body>(m.body);
    return found;
  }

  std::uint64_t now = 1000;
  raft_core::updates updates;
  std::unique_ptr<raft_core> core;
};

/// Hosts of one group. What they write is durable at once, what is committed is applied at once,
/// messages take no time.
class small_cluster {
public:
  explicit small_cluster(host_options options) : options_(options) {}

  void add(node_id id, const stored_group& stored) {
    options_.core.self = id;
    auto& added = hosts_.try_emplace(id, options_).first->second;
    REQUIRE(added.start(now, 0, stored));
    settle();
  }
  void run(std::uint64_t ms) {
    for (const auto until = now + ms; now < until;) {
      now += 10;
      for (auto& [id, host] : hosts_)
        host.tick(now);
      settle();
    }
  }
  void propose(node_id leader, std::uint64_t count = 1) {
    for (; count > 0; --count) {
      now += 10;
      for (auto& [id, host] : hosts_)
        host.tick(now);
      REQUIRE(host(leader).propose(now, 0, group(leader).leading_term(), data("x")));
      settle();
    }
  }
  /// Until nobody asks for anything.
  void settle() {
    for (bool done = false; !done;) {
      done = true;
      for (auto& [id, host] : hosts_) {
        auto out = host.take();
        if (out.batch)
          host.persisted(now, out.batch->number);
        for (const auto& e : out.events)
          handle(id, e);
        for (const auto& m : out.messages)
          if (!cut.contains(id) && !cut.contains(m.to) && hosts_.contains(m.to))
            REQUIRE(hosts_.at(m.to).receive(now, 0, id, m.body));
        done = done && !out.batch && out.messages.empty() && out.events.empty();
      }
    }
  }
  raft_host& host(node_id id) { return hosts_.at(id); }
  const raft_group& group(node_id id) { return *hosts_.at(id).find(0); }
  std::uint64_t last(node_id id) { return group(id).core().log().last(); }

  std::uint64_t now = 1'000;
  std::set<node_id> cut;               // nothing gets to them or away from them
  std::vector<install_wanted> wanted;  // to be fetched
  std::size_t offered = 0;

private:
  void handle(node_id id, const event& e) {
    if (const auto* told = std::get_if<entries_committed>(&e)) {
      host(id).applied(now, 0, told->first + told->entries.size() - 1);
    } else if (const auto* state = std::get_if<snapshot_wanted>(&e)) {
      offered += host(id).offer_snapshot(now, 0, state->to, state->term, offered + 1,
                                         group(id).applied_index())
                   ? 1
                   : 0;
    } else if (const auto* behind = std::get_if<install_wanted>(&e)) {
      wanted.push_back(*behind);
    }
  }

  host_options options_;
  std::map<node_id, raft_host> hosts_;
};

raft_workarounds without(bool raft_workarounds::*fix) {
  raft_workarounds out;
  out.*fix = false;
  return out;
}

}  // namespace

TEST_CASE("configuration: what is encoded is read back, and nothing else is read") {
  auto three = members_of({1, 2, 3});
  three.members[1].as = role::spare;
  const auto bytes = encode(three);
  CHECK(bytes.size() % 8 == 0);
  auto back = decode_configuration(bytes);
  REQUIRE(back);
  CHECK(*back == three);
  for (std::size_t size = 0; size + 8 <= bytes.size(); ++size)
    CHECK_FALSE(decode_configuration(std::string_view{bytes}.substr(0, size)));
  CHECK_FALSE(check(members_of({})));
  CHECK_FALSE(check(members_of({1, 1})));
  CHECK_FALSE(check(members_of({0})));
}

TEST_CASE("raft_core: a refused pre-vote tells the newer term") {
  const request_vote asked{6, 2, 9, 5, false, true};
  bench fixed{1, stored_in_term(10, {1, 2, 3})};
  REQUIRE(fixed.receive(2, asked));
  CHECK(fixed.sent<request_vote_result>(2)->term == 10);
  CHECK_FALSE(fixed.sent<request_vote_result>(2)->granted);

  bench defective{1, stored_in_term(10, {1, 2, 3}),
                  without(&raft_workarounds::tell_term_to_pre_candidate)};
  REQUIRE(defective.receive(2, asked));
  CHECK(defective.sent<request_vote_result>(2)->term == 6);

  bench candidate{2, stored_in_term(5, {1, 2, 3})};
  candidate.wait(2000);
  REQUIRE(candidate.core->state() == core_state::candidate);
  REQUIRE(candidate.receive(1, *fixed.sent<request_vote_result>(2)));
  CHECK(candidate.core->term() == 10);
}

TEST_CASE("raft_core: who is led by nobody takes turns to stand for election") {
  const auto three = members_of({1, 2, 3});
  SUBCASE("all voters have turns of their own, and no node always has the first") {
    std::map<node_id, std::size_t> first;
    for (group_id group = 0; group < 18; ++group) {
      const node_id gone = group % 3 + 1;
      std::set<std::size_t> turns;
      for (const node_id self : {1, 2, 3})
        if (self != gone) {
          turns.insert(election_turn(group, three, self, gone));
          first[self] += election_turn(group, three, self, gone) == 0 ? 1 : 0;
        }
      CHECK(turns == std::set<std::size_t>{0, 1});
    }
    for (const auto& [self, times] : first)
      CHECK(times == 6);
    CHECK(election_turn(1, three, 2, 0) == 0);
    CHECK(election_turn(1, three, 1, 0) == 2);
  }
  SUBCASE("turns are apart, and nobody waits longer than libraft would") {
    for (std::size_t turn = 0; turn < 4; ++turn)
      CHECK(election_wait_ms(300, turn, 300) < election_wait_ms(300, turn + 1, 0));
    CHECK(election_wait_ms(300, 0, 0) == 350);
    CHECK(election_wait_ms(300, 100, 300) <= 600);
  }
  SUBCASE("a follower votes after one election timeout, and stands a turn later") {
    for (const node_id self : {1, 2}) {
      bench follower{self, stored_in_term(2, {1, 2, 3})};
      REQUIRE(follower.receive(3, append_entries{2, 1, 1, 1, 0, {}}));
      follower.wait(999);
      CHECK(follower.core->leader() == 3);
      REQUIRE(follower.receive(3 - self, request_vote{3, 3 - self, 1, 1, false, true}));
      CHECK(follower.core->leader() == 3);
      CHECK_FALSE(follower.sent<request_vote_result>(3 - self)->granted);
      follower.wait(1);
      CHECK(follower.core->leader() == 0);
      REQUIRE(follower.receive(3 - self, request_vote{3, 3 - self, 1, 1, false, true}));
      CHECK(follower.sent<request_vote_result>(3 - self)->granted);
      const auto turn = election_turn(0, three, self, 3);
      CHECK(turn == self - 1);
      follower.wait(turn == 0 ? 160 : 330);
      CHECK(follower.core->state() == core_state::follower);
      follower.wait(90);
      CHECK(follower.core->state() == core_state::candidate);
    }
  }
}

TEST_CASE("raft_core: a leader's permission to disrupt it holds for one election") {
  for (const bool fix : {true, false}) {
    raft_workarounds workarounds;
    workarounds.disrupt_once = fix;
    bench successor{2, stored_in_term(2, {1, 2, 3}), workarounds};
    REQUIRE(successor.receive(1, append_entries{2, 1, 1, 1, 0, {}}));
    REQUIRE(successor.receive(1, timeout_now{2, 1, 1}));
    REQUIRE(successor.sent<request_vote>(3));
    CHECK(successor.sent<request_vote>(3)->term == 3);
    CHECK(successor.sent<request_vote>(3)->disrupt_leader);
    successor.wait(2000);
    REQUIRE(successor.sent<request_vote>(3));
    CHECK(successor.sent<request_vote>(3)->term == 4);
    CHECK(successor.sent<request_vote>(3)->disrupt_leader == !fix);
  }
}

TEST_CASE("raft_core: a rejection that a success has overtaken does not stop replication") {
  for (const bool fix : {true, false}) {
    raft_workarounds workarounds;
    workarounds.ignore_late_rejection = fix;
    bench leader{1, stored_in_term(1, {1, 2, 3}), workarounds};
    leader.elect();
    const auto term = leader.core->term();
    REQUIRE(leader.propose() == 2);
    REQUIRE(leader.receive(2, append_entries_result{term, 0, 2, 0}));
    leader.propose();
    REQUIRE(leader.receive(2, append_entries_result{term, 3, 2, 0}));  // probes from 3 on
    REQUIRE(leader.receive(2, append_entries_result{term, 2, 1, 0}));  // was sent long before
    leader.wait(150);
    REQUIRE(leader.sent<append_entries>(2));
    CHECK(leader.sent<append_entries>(2)->entries.empty() == !fix);
  }
}

TEST_CASE("raft_core: the answer to an older term has no index") {
  bench node{1, stored_in_term(4, {1, 2, 3})};
  REQUIRE(node.receive(2, append_entries{3, 0, 0, 0, 0, {}}));
  REQUIRE(node.sent<append_entries_result>(2));
  CHECK(node.sent<append_entries_result>(2)->term == 4);
  CHECK(node.sent<append_entries_result>(2)->last_log_index == 0);
  const snapshot_metadata metadata{9, 3, members_of({1, 2, 3}), 1};
  REQUIRE(node.receive(2, install_snapshot{3, 0, 7, metadata}));
  CHECK(node.sent<append_entries_result>(2)->last_log_index == 0);
}

TEST_CASE("raft_core: entries that were trimmed are not appended again") {
  const auto group = stored_in_term(1, {1, 2, 3});
  bench node{2, group};
  append_entries first{1, 0, 0, 5, 0, {group.entries[0]}};
  for (int i = 0; i < 5; ++i)
    first.entries.push_back(command(1));
  REQUIRE(node.receive(1, first));
  node.core->persisted(node.now, 6, node.updates);
  node.core->applied(node.now, 5, node.updates);
  node.core->trim(node.now, 5, 5, node.updates);
  REQUIRE(node.receive(1, first));
  CHECK(node.core->log().last() == 6);
  CHECK(node.sent<append_entries_result>(1)->rejected == 0);
  CHECK(node.sent<append_entries_result>(1)->last_log_index == 6);
}

TEST_CASE("raft_core: changes of members take effect one by one on a follower") {
  const auto change = [](std::initializer_list<node_id> ids) {
    return entry{1, entry_kind::change, data(encode(members_of(ids)))};
  };
  const auto group = stored_in_term(1, {1, 2, 3});
  bench node{2, group};
  REQUIRE(node.receive(1, append_entries{1,
                                         0,
                                         0,
                                         3,
                                         0,
                                         {group.entries[0], command(1), change({1, 2, 3, 4}),
                                          change({1, 2, 3, 4, 5})}}));
  node.core->persisted(node.now, 4, node.updates);
  CHECK(node.core->members() == members_of({1, 2, 3, 4, 5}));
  // A new leader does not have the second one: the first stays, since the second could only follow
  // it.
  REQUIRE(node.receive(3, append_entries{2, 3, 1, 3, 0, {command(2)}}));
  CHECK(node.core->members() == members_of({1, 2, 3, 4}));
}

TEST_CASE("raft_core: what no correct peer sends is refused and changes nothing") {
  const auto group = stored_in_term(1, {1, 2, 3});
  bench leader{1, group};
  leader.elect();
  const auto term = leader.core->term();
  CHECK_FALSE(leader.receive(2, append_entries{term, 1, 1, 1, 0, {}}));
  CHECK_FALSE(leader.receive(9, append_entries_result{term, 0, 1, 0}));
  CHECK_FALSE(leader.receive(2, append_entries_result{term, 0, 99, 0}));
  CHECK_FALSE(leader.receive(1, append_entries_result{term, 0, 1, 0}));
  CHECK_FALSE(leader.receive(0, timeout_now{term, 1, 1}));
  CHECK_FALSE(leader.receive(2, request_vote{term + 1, 3, 1, 1, false, false}));
  CHECK_FALSE(leader.receive(2, request_vote_result{0, true, false}));

  bench node{2, group};
  CHECK_FALSE(node.receive(1, append_entries{1, 1, 0, 0, 0, {}}));
  CHECK_FALSE(node.receive(1, append_entries{1, 1, 1, 0, 0, {command(2)}}));
  CHECK_FALSE(node.receive(1, append_entries{2, 1, 1, 0, 0, {command(2), command(1)}}));
  CHECK_FALSE(node.receive(1, append_entries{1, 0, 0, 0, 0, {command(1)}}));
  CHECK_FALSE(
    node.receive(1, append_entries{1, 1, 1, 0, 0, {{1, entry_kind::change, data("\1garbage")}}}));
  CHECK_FALSE(node.receive(1, append_entries{2, 1, 2, 0, 0, {}}));  // contradicts entry 1
  CHECK_FALSE(node.receive(1, install_snapshot{1, 0, 7, {9, 2, members_of({1}), 1}}));
  CHECK(node.updates.empty());
  CHECK(node.core->log().last() == 1);
}

TEST_CASE("raft_core: a stored log that contradicts itself does not start") {
  const auto starts = [](const stored_group& stored) {
    core_options options;
    options.self = 1;
    raft_core::updates updates;
    return static_cast<bool>(raft_core::start(options, stored, 0, updates));
  };
  const auto good = stored_in_term(3, {1, 2, 3});
  CHECK(starts(good));
  CHECK(starts(stored_group{}));
  auto bad = good;
  bad.hard.term = 0;
  CHECK_FALSE(starts(bad));
  bad = good;
  bad.applied = 2;
  CHECK_FALSE(starts(bad));
  bad = good;
  bad.first_index = 2;
  CHECK_FALSE(starts(bad));
  bad = good;
  bad.entries = {command(1)};
  CHECK_FALSE(starts(bad));
  bad = good;
  bad.entries.push_back(command(3));
  bad.entries.push_back(command(2));
  CHECK_FALSE(starts(bad));
  bad = good;
  bad.snapshot = snapshot_metadata{9, 2, members_of({1}), 1};
  CHECK_FALSE(starts(bad));
}

TEST_CASE("raft_host: term and vote are durable before a message made with them") {
  host_options options;
  options.core.self = 1;
  raft_host host{options};
  REQUIRE(host.start(0, 0, stored_in_term(1, {1, 2, 3})));
  REQUIRE(host.receive(1500, 0, 2, request_vote{5, 2, 9, 4, false, false}));
  const auto out = host.take();
  REQUIRE(out.batch);
  CHECK(out.batch->sync);
  CHECK(out.batch->writes.front().hard == hard_state{5, 2});
  REQUIRE(out.messages.size() == 1);
  CHECK(std::get<request_vote_result>(out.messages[0].body).granted);
  CHECK(out.messages[0].after_batch == out.batch->number);

  // So is everything that is sent before that batch is durable, and nothing after.
  REQUIRE(host.receive(1501, 0, 2, append_entries{5, 1, 1, 1, 77, {}}));
  auto next = host.take();
  REQUIRE(next.messages.size() == 1);
  CHECK(next.messages[0].after_batch == out.batch->number);
  CHECK(std::get<append_entries_result>(next.messages[0].body).clock_ms == 77);
  host.persisted(1502, out.batch->number);
  REQUIRE(host.receive(1503, 0, 2, append_entries{5, 1, 1, 1, 78, {}}));
  CHECK(host.take().messages.at(0).after_batch == 0);
}

TEST_CASE("raft_host: no vote for an election timeout after the start") {
  host_options options;
  options.core.self = 1;
  raft_host host{options};
  REQUIRE(host.start(0, 0, stored_in_term(1, {1, 2, 3})));
  REQUIRE(host.receive(999, 0, 2, request_vote{5, 2, 9, 4, false, false}));
  CHECK(host.take().messages.empty());
}

TEST_CASE("raft_host: the only voter leads in a new term once that is durable, and commits") {
  host_options options;
  options.core.self = 1;
  raft_host host{options};
  REQUIRE(host.start(0, 3, stored_in_term(7, {1})));
  auto out = host.take();
  REQUIRE(out.batch);
  CHECK(out.batch->writes.front().hard == hard_state{8, 1});
  for (const auto& e : out.events)
    CHECK_FALSE(std::holds_alternative<leadership_gained>(e));
  CHECK_FALSE(host.leads(3, 8, 0));
  host.persisted(1, 1);
  out = host.take();
  REQUIRE(out.events.size() == 1);
  CHECK(std::get<leadership_gained>(out.events[0]).term == 8);
  CHECK(host.leads(3, 8, 1));
  CHECK(host.leader_hint(3) == 1);

  CHECK(host.propose(2, 3, 7, data("x")).error().code == errc::not_leader);
  CHECK(host.propose(2, 9, 8, data("x")).error().code == errc::not_found);
  CHECK(*host.propose(2, 3, 8, data("x")) == 2);
  out = host.take();
  CHECK(out.events.empty());
  host.persisted(3, out.batch->number);
  out = host.take();
  REQUIRE(out.events.size() == 1);
  const auto& told = std::get<entries_committed>(out.events[0]);
  CHECK(told.first == 2);
  CHECK(told.entries.size() == 1);
  CHECK(host.transfer(4, 3, 2).error().code == errc::not_found);
  CHECK(host.remove_member(4, 3, 1).error().code == errc::conflict);
  CHECK(host.add_member(4, 3, {2, "node-1", role::voter}).error().code == errc::conflict);
  CHECK(host.add_member(4, 3, {0, "node-9", role::voter}).error().code == errc::malformed);
  CHECK(host.add_member(4, 3, {9, "node-9", role::spare}).error().code == errc::malformed);
  CHECK(host.add_member(4, 3, {1, "node-1", role::standby}).error().code == errc::conflict);
  CHECK(host.snapshot_fetched(3, 1).error().code == errc::conflict);
}

TEST_CASE(
  "raft_host: what was told before a snapshot that does not come is applied, and the group goes "
  "on") {
  host_options options;
  options.core.self = 1;
  raft_host host{options};
  REQUIRE(host.start(0, 0, stored_in_term(1, {1, 2, 3})));
  REQUIRE(
    host.receive(1, 0, 2, append_entries{2, 1, 1, 1, 1, {command(2), command(2), command(2)}}));
  auto out = host.take();
  REQUIRE(out.batch);
  host.persisted(2, out.batch->number);
  REQUIRE(host.receive(3, 0, 2, append_entries{2, 4, 2, 4, 2, {}}));
  out = host.take();
  REQUIRE(out.events.size() == 1);
  CHECK(std::get<entries_committed>(out.events[0]).entries.size() == 3);

  REQUIRE(host.receive(4, 0, 2, install_snapshot{2, 3, 77, {9, 2, members_of({1, 2, 3}), 1}}));
  out = host.take();
  REQUIRE(out.events.size() == 1);
  CHECK(std::get<install_wanted>(out.events[0]).snapshot_id == 77);
  host.applied(5, 0, 2);  // a shell may take its time
  REQUIRE(host.snapshot_failed(6, 0, 77));
  if (const auto batch = host.take().batch)
    host.persisted(7, batch->number);
  host.applied(8, 0, 4);
  CHECK(host.find(0)->applied_index() == 4);

  REQUIRE(host.receive(9, 0, 2, append_entries{2, 4, 2, 4, 4, {command(2)}}));
  out = host.take();
  REQUIRE(out.batch);
  CHECK(out.batch->writes.back().first == 5);
  host.persisted(10, out.batch->number);
  REQUIRE(host.receive(11, 0, 2, append_entries{2, 5, 2, 5, 5, {}}));
  out = host.take();
  REQUIRE(out.events.size() == 1);
  CHECK(std::get<entries_committed>(out.events[0]).first == 5);
}

TEST_CASE("raft_host: members are told what is committed, by an entry or soon after") {
  host_options options;
  options.core.self = 1;
  raft_host host{options};
  REQUIRE(host.start(0, 0, stored_in_term(1, {1, 2, 3})));
  std::uint64_t now = 2'000;
  output out;
  const auto turn = [&] {
    out = host.take();
    if (out.batch)
      host.persisted(now, out.batch->number);
  };
  const auto told = [&](node_id to) {
    std::uint64_t commit = 0;
    for (const auto& m : out.messages)
      if (const auto* body = std::get_if<append_entries>(&m.body); body && m.to == to)
        commit = std::max(commit, body->leader_commit);
    return commit;
  };
  host.tick(now);
  turn();
  REQUIRE(host.receive(now, 0, 2, request_vote_result{2, true, true}));
  turn();
  REQUIRE(host.receive(now, 0, 2, request_vote_result{2, true, false}));
  turn();
  turn();
  REQUIRE(host.find(0)->leading_term() == 2);
  const auto index = *host.propose(now, 0, 2, data("w"));
  turn();
  REQUIRE(host.receive(++now, 0, 2, append_entries_result{2, 0, index, 0}));
  turn();
  CHECK(host.find(0)->core().commit_index() == index);
  CHECK(host.tick_due_ms() == now + options.commit_news_ms);

  host.tick(now += options.commit_news_ms - 1);
  turn();
  CHECK(told(2) < index);
  CHECK(host.tick_due_ms() == now + 1);  // that tick was too early
  host.tick(++now);
  turn();
  CHECK(told(2) == index);
  CHECK(told(3) == 0);  // it is not known to hold that
  CHECK(host.tick_due_ms() > now + 1'000'000);

  REQUIRE(host.propose(++now, 0, 2, data("x")));
  turn();
  REQUIRE(host.receive(now, 0, 2, append_entries_result{2, 0, index + 1, 0}));
  REQUIRE(host.propose(++now, 0, 2, data("y")));
  turn();
  CHECK(told(2) == index + 1);
  host.tick(now = host.tick_due_ms());
  turn();
  CHECK(told(2) == 0);  // the entry did
}

TEST_CASE("raft_host: nobody is asked to lead who has not acknowledged enough of the log lately") {
  small_cluster all{{}};
  for (const node_id id : {1, 2, 3})
    all.add(id, stored_in_term(1, {1, 2, 3}));
  all.run(3'000);
  node_id leader = 0;
  for (const node_id id : {1, 2, 3})
    leader = all.group(id).leading_term() != 0 ? id : leader;
  REQUIRE(leader != 0);
  const node_id other = leader % 3 + 1;
  const auto refused = [&] {
    const auto asked = all.host(leader).transfer(all.now, 0, other);
    return !asked && asked.error().code == errc::conflict && !all.group(leader).is_transferring();
  };
  all.cut = {other};
  SUBCASE("it is silent for as long as a lease") {
    all.run(1'000);
    CHECK(refused());
    all.propose(leader);
    all.cut.clear();
    all.run(200);
  }
  SUBCASE("it lacks many entries") {
    all.propose(leader, host_options{}.takeover_lag_max / 10);
    CHECK_FALSE(all.group(leader).can_take_over(all.now + 900, other));
    for (std::uint64_t i = 0; i <= host_options{}.takeover_lag_max; ++i)
      REQUIRE(all.host(leader).propose(all.now, 0, all.group(leader).leading_term(), data("x")));
    CHECK(refused());
    all.settle();
    all.cut.clear();
    all.run(200);
  }
  REQUIRE(all.host(leader).transfer(all.now, 0, other));
  all.settle();
  CHECK(all.group(other).leading_term() != 0);
}

TEST_CASE(
  "raft_host: who has caught up once and fell behind again is no voter before it has again") {
  small_cluster all{{}};
  all.add(1, stored_in_term(1, {1}));
  all.propose(1);
  all.add(4, {});
  REQUIRE(all.host(1).add_member(all.now, 0, {4, "node-4", role::standby}));
  all.run(500);
  REQUIRE(all.group(1).core().members().find(4)->as == role::standby);
  REQUIRE(all.group(1).core().match_index(4) == all.last(1));

  all.cut = {4};
  all.propose(1, 100);
  const auto before = all.last(1);
  REQUIRE(all.host(1).add_member(all.now, 0, {4, "node-4", role::voter}));
  all.run(300);
  CHECK(all.last(1) == before);
  all.propose(1);
  CHECK(all.group(1).applied_index() == before + 1);  // it is not waited for

  all.cut.clear();
  all.run(500);
  CHECK(all.group(1).core().members().is_voter(4));
  CHECK(all.group(1).core().match_index(4) == all.last(1));
  CHECK_FALSE(all.group(1).is_changing());
}

TEST_CASE("raft_host: the log is kept for who fetches a snapshot, so that it needs only one") {
  host_options options;
  options.trailing_entries = 20;
  options.trailing_held_times_max = 8;
  options.trim_step_entries = 5;
  small_cluster all{options};
  all.add(1, stored_in_term(1, {1}));
  all.propose(1, 100);
  REQUIRE(all.group(1).core().log().first() > 2);
  all.add(4, {});
  REQUIRE(all.host(1).add_member(all.now, 0, {4, "node-4", role::standby}));
  all.run(500);
  REQUIRE(all.wanted.size() == 1);
  const auto fetched = all.wanted[0].metadata.index;
  const auto& log = all.group(1).core().log();
  const auto arrives = [&] {
    REQUIRE(all.host(4).snapshot_fetched(0, all.wanted.back().snapshot_id));
    all.settle();
  };

  SUBCASE("it comes slowly, and many entries meanwhile") {
    all.propose(1, 130);
    CHECK(log.first() <= fetched);
    arrives();
    all.propose(1, 100);
    CHECK(all.wanted.size() == 1);
    CHECK(all.group(4).applied_index() + 1 >= all.last(1));
    CHECK(all.last(1) - log.first() <= options.trailing_entries + options.trim_step_entries);
    all.cut = {4};  // has caught up: nothing more is kept for it than for others
    all.propose(1, 60);
    CHECK(all.last(1) - log.first() <= options.trailing_entries + options.trim_step_entries);
  }
  SUBCASE("it comes so slowly that it would cost too much") {
    all.propose(1, options.trailing_entries * options.trailing_held_times_max + 30);
    CHECK(log.first() > fetched + 1);
    CHECK(all.last(1) - log.first() <= options.trailing_entries + options.trim_step_entries);
  }
  SUBCASE("it does not come any more") {
    all.cut = {4};
    all.propose(1, 100);
    CHECK(log.first() <= fetched);
    all.run(options.core.install_snapshot_timeout_ms + 1'000);
    all.propose(1);
    CHECK(all.last(1) - log.first() <= options.trailing_entries + options.trim_step_entries);
  }
}

TEST_CASE("raft_host: proposals beyond the limit are overloaded") {
  host_options options;
  options.core.self = 1;
  options.uncommitted_entries_max = 3;
  raft_host host{options};
  REQUIRE(host.start(0, 0, stored_in_term(1, {1})));
  host.take();
  host.persisted(1, 1);
  host.applied(1, 0, 1);
  for (int i = 0; i < 3; ++i)
    CHECK(host.propose(2, 0, 2, data("x")));
  CHECK(host.propose(2, 0, 2, data("x")).error().code == errc::overloaded);
  host.persisted(3, host.take().batch->number);
  CHECK(host.propose(4, 0, 2, data("x")));
}

}  // namespace holdfast::consensus
