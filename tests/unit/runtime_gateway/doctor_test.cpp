#include "tests/unit/runtime_gateway/asking.hpp"

#include <set>

#include "persistence/keys.hpp"
#include "runtime/gateway/doctor.hpp"
#include "schemas/codec.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

/// An agent with everything that can be open: a run, a timer, an unknown write, a waiting event,
/// memory, messages.
void make_busy(fake_node& node, const agent_name& name) {
  const auto seq = node.commit(name, {received(node, name, 1)});
  tool_requested first;
  first.effect_no = 1;
  first.step = 1;
  first.tool = "refund";
  first.input = "{}";
  first.term = 1;
  auto second = first;
  second.effect_no = 2;
  second.cls = effect_class::idempotent;
  node.commit(name, {started(node, name, 1, seq), message_appended{1, {}}, first, second,
                     state_changed{"{}"}});
  node.commit(name, {effect_unknown{1, 1, {"x", "lost", 1, false}},
                     effect_failed{2, 1, {"x", "busy", 2, true}, false, "refund"},
                     timer_set{1, timer_kind::retry, test_time + 5, {}, run_no(node, name, 1), 2},
                     effect_retry_scheduled{2, 2, 1, test_time + 5}, received(node, name, 2)});
}

std::vector<std::string> codes(const fake_node& node) {
  std::vector<std::string> out;
  for (const auto& finding : examine_records(node.disk, node.partitions_count).findings)
    out.push_back(finding.code);
  return out;
}

void erase(fake_node& node, family in, const std::string& key) {
  const auto bytes = node.disk.get(in, key);
  REQUIRE(bytes);
  REQUIRE(*bytes);
  write_set out;
  out.erase(in, key);
  REQUIRE(node.disk.write(out, true));
}

void put(fake_node& node, family in, const std::string& key, const std::string& value = {}) {
  write_set out;
  out.put(in, key, value);
  REQUIRE(node.disk.write(out, true));
}

using texts = std::vector<std::string>;

/// A store that changes under the doctor's eyes: `then` runs after so many reads.
class moving_reader final : public reader {
public:
  moving_reader(const reader& from, int after, std::function<void()> then)
    : from_(from), left_(after), then_(std::move(then)) {}
  result<std::optional<std::string>> get(family in, std::string_view key) const override {
    count();
    return from_.get(in, key);
  }
  std::unique_ptr<cursor> scan(family in, std::string_view lower, std::string_view upper,
                               bool descending) const override {
    count();
    return from_.scan(in, lower, upper, descending);
  }

private:
  void count() const {
    if (left_-- == 0)
      then_();
  }
  const reader& from_;
  mutable int left_;
  std::function<void()> then_;
};

}  // namespace

TEST_CASE("doctor: a healthy folder has no findings, whatever its agents are doing") {
  fake_node node;
  make_busy(node, one);
  node.commit({"support", "held"}, {paused{"me", "r"}});
  node.commit({"support", "queued"}, {received(node, {"support", "queued"}, 5)});
  const auto report = examine_records(node.disk, node.partitions_count);
  CHECK(codes(node).empty());
  CHECK(report.agents == 3);
  CHECK(report.open_effects == 2);
  CHECK(report.timers == 1);
  CHECK(report.waiting_events == 2);
}

TEST_CASE("doctor: an empty folder has no findings") {
  fake_node node;
  CHECK(codes(node).empty());
}

TEST_CASE("doctor: each thing that must be on disk is missed when it is not") {
  const auto broken = [](auto&& breaks) {
    fake_node node;
    make_busy(node, one);
    const auto g = node.group(one);
    breaks(node, g);
    return codes(node);
  };
  CHECK(broken([](fake_node& n, group_id g) {
          erase(n, family::timer, keys::timer(g, test_time + 5, one, 1));
        }) == texts{"timer_missing"});
  CHECK(broken([](fake_node& n, group_id g) {
          erase(n, family::mailbox, keys::numbered(g, one, 2));
        }) == texts{"mailbox_missing"});
  CHECK(broken([](fake_node& n, group_id g) {
          erase(n, family::index, keys::reconcile(g, {run_no(n, one, 1), 1}));
        }) == texts{"reconcile_missing"});
  CHECK(broken([](fake_node& n, group_id g) {
          erase(n, family::run, keys::by_id(g, run_no(n, one, 1).id));
        }) == texts{"run_missing"});
  CHECK(broken([](fake_node& n, group_id g) {
          erase(n, family::index, keys::agent_run(g, one, run_no(n, one, 1)));
        }) == texts{"run_missing"});
  CHECK(broken([](fake_node& n, group_id) {
          erase(n, family::definitions, keys::definition("agent", "support", 1));
        }) == texts{"definition_missing"});
  CHECK(broken([](fake_node& n, group_id g) {
          erase(n, family::memory, keys::numbered(g, one, n.state_of(one).memory_seq));
        }) == texts{"memory_missing"});
  CHECK(broken([](fake_node& n, group_id g) {
          erase(n, family::message, keys::numbered(g, one, 1));
        }) == texts{"message_missing"});
  const auto without_journal =
    broken([](fake_node& n, group_id g) { erase(n, family::journal, keys::numbered(g, one, 2)); });
  CHECK(std::set<std::string>(without_journal.begin(), without_journal.end()) ==
        std::set<std::string>{"effect_fact_missing"});
  const auto without_event =
    broken([](fake_node& n, group_id g) { erase(n, family::journal, keys::numbered(g, one, 1)); });
  CHECK(without_event == texts{"event_missing"});
}

TEST_CASE("doctor: keys that wait for an agent which does not know of them are found") {
  const auto broken = [](auto&& breaks) {
    fake_node node;
    make_busy(node, one);
    const auto g = node.group(one);
    breaks(node, g);
    return codes(node);
  };
  CHECK(broken([](fake_node& n, group_id g) {
          put(n, family::timer, keys::timer(g, test_time + 9, one, 7));
        }) == texts{"timer_orphan"});
  CHECK(broken([](fake_node& n, group_id g) {
          put(n, family::timer, keys::timer(g, 1, {"support", "nobody"}, 1));
        }) == texts{"timer_orphan"});
  CHECK(broken([](fake_node& n, group_id g) {
          put(n, family::mailbox, keys::numbered(g, one, 99), "x");
        }) == texts{"mailbox_orphan"});
  CHECK(broken([](fake_node& n, group_id g) {
          put(n, family::index, keys::reconcile(g, {run_no(n, one, 1), 2}), to_string(one));
        }) == texts{"reconcile_orphan"});
  CHECK(broken([](fake_node& n, group_id g) { put(n, family::index, keys::ready(g, one)); }) ==
        texts{"ready_orphan"});
  CHECK(broken([](fake_node& n, group_id g) {
          put(n, family::index, keys::ready(g, {"support", "nobody"}));
        }) == texts{"ready_orphan"});
}

TEST_CASE("doctor: an agent with something to start that the ready index forgot is found") {
  fake_node node;
  node.commit(one, {received(node, one, 1)});
  erase(node, family::index, keys::ready(node.group(one), one));
  const auto report = examine_records(node.disk, node.partitions_count);
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings[0].code == "ready_missing");
  CHECK(report.findings[0].subject == "support/cus_42");
  CHECK(!report.findings[0].command.empty());
}

TEST_CASE("doctor: a run that nothing will ever move is found") {
  fake_node node;
  const auto seq = node.commit(one, {received(node, one, 1)});
  node.commit(one, {started(node, one, 1, seq)});
  const auto found = codes(node);
  CHECK(found == texts{"no_wake_cause", "stuck"});
}

TEST_CASE("doctor: what cannot be read is found, and the rest is looked at all the same") {
  fake_node node;
  make_busy(node, one);
  const agent_name other{"support", "other"};
  put(node, family::snapshot, keys::agent(node.group(other), other), "garbage");
  put(node, family::outbox, keys::outbox(1, 2, 1), "garbage");
  const auto found = codes(node);
  CHECK(std::count(found.begin(), found.end(), "unreadable") == 1);
  CHECK(std::count(found.begin(), found.end(), "outbox_unreadable") == 1);
  CHECK(examine_records(node.disk, node.partitions_count).agents == 2);
}

TEST_CASE("doctor: an agent in the wrong partition is found") {
  fake_node node;
  agent_state state;
  state.name = one;
  const auto wrong = static_cast<group_id>(node.group(one) % node.partitions_count + 1);
  put(node, family::snapshot, keys::agent(wrong, one), codec::encode(state));
  CHECK(codes(node) == texts{"misplaced"});
}

TEST_CASE("doctor: a message whose number was not given yet is found") {
  fake_node node;
  outbox_message message;
  message.target = one;
  put(node, family::outbox, keys::outbox(1, node.group(one), 5), codec::encode(message));
  CHECK(codes(node) == texts{"outbox_ahead"});
  put(node, family::outbox, keys::outbox(1, static_cast<group_id>(node.group(one) % 4 + 1), 5),
      codec::encode(message));
  const auto found = codes(node);
  CHECK(std::count(found.begin(), found.end(), "outbox_misdirected") == 1);
}

TEST_CASE("doctor: an agent that moves while it is looked at is no finding") {
  for (int after = 0; after < 200; ++after) {
    fake_node node;
    make_busy(node, one);
    moving_reader moving{
      node.disk, after, [&] {
        node.commit(one, {timer_fired{1, timer_kind::retry, {}}, effect_started{2, 2, 1}});
        node.commit(one, {tool_completed{2, 2, "refund", "1"},
                          effect_reconciled{1, resolution::failed, {}, {}, "me", "refund"},
                          run_completed{run_no(node, one, 1), "1"}});
        node.commit(one, {started(node, one, 2, node.state_of(one).seq - 5),
                          run_completed{run_no(node, one, 2), "1"}});
      }};
    const auto report = examine_records(moving, node.partitions_count);
    CAPTURE(after);
    CHECK_MESSAGE(
      report.findings.empty(),
      (report.findings.empty() ? "" : report.findings[0].code + report.findings[0].detail));
  }
}

TEST_CASE("doctor: the document says what was looked at and what to do") {
  asking at;
  make_busy(at.node, one);
  const auto good = at.ask("GET", "/v1/doctor")->body();
  CHECK(good["kind"] == "doctor");
  CHECK(good["checked"]["agents"] == 1);
  CHECK(good["findings"].empty());
  erase(at.node, family::timer, keys::timer(at.node.group(one), test_time + 5, one, 1));
  const auto bad = at.ask("GET", "/v1/doctor")->body();
  CHECK(bad["findings"][0]["code"] == "timer_missing");
  CHECK(bad["findings"][0]["subject"] == "support/cus_42");
  CHECK(bad["findings"][0]["unblock"]["command"].get<std::string>().starts_with("holdfast "));
}
