#pragma once
// Shards of a small node, run by hand: a log and a store in memory, agents beside them, messages between them that a
// test may hold back, a clock that it turns.

#include <deque>
#include <set>

#include "persistence/keys.hpp"
#include "persistence/memory_log.hpp"
#include "persistence/memory_store.hpp"
#include "runtime/core/apply.hpp"
#include "runtime/core/shard_core.hpp"
#include "runtime/core/stored_records.hpp"
#include "tests/unit/runtime_core/agent_bench.hpp"

namespace holdfast::testing {

/// Stands in for SHA-256, with as many bytes: the core takes whatever it is handed.
std::string test_digest(std::string_view bytes);

class shard_bench final : public commit_listener {
public:
  explicit shard_bench(std::uint16_t partitions = 1);
  ~shard_bench() override;

  void define(compiled_agent spec) { lends.define(std::move(spec)); }
  /// Starts (again) whatever is not led, in a new term.
  void start();
  /// A power cut, and a new start.
  void restart();
  /// Does everything that can be done at this time.
  void run();
  /// Turns the clock; ticks a shard only when it asked to be woken by then.
  void advance(time_us by);

  // Requests; each returns the number under which its answers are kept.
  std::uint64_t submit(const agent_name& to, command cmd, std::string once = {},
                       std::string body = "body", bool until_end = false);
  std::uint64_t send(const agent_name& to, std::string once = {}, std::string body = "body",
                     bool until_end = false);
  std::uint64_t route(event e, std::string once = {});
  /// The same, with a note for the audit log; and with a sender that has a scope.
  std::uint64_t control_by(const agent_name& to, control cmd, audit_recorded audit);
  std::uint64_t route_as(event e, const event_sender& sender);
  std::uint64_t ask_for_end(const agent_name& of, const run_id& run);
  std::uint64_t settle(const event_id& letter, bool redrive);
  std::uint64_t fork(const agent_name& from, seq_no at, const agent_name& to);

  const std::vector<answer>& answers(std::uint64_t request) { return told[request]; }
  template <class T>
  T only_answer(std::uint64_t request) {
    REQUIRE(told[request].size() == 1);
    REQUIRE(std::holds_alternative<T>(told[request].front()));
    return std::get<T>(told[request].front());
  }
  errc refusal(std::uint64_t request) { return only_answer<error>(request).code; }

  shard_core& shard_of(const agent_name& name);
  agent_state stored(const agent_name& name) const;
  std::size_t count_of(const char* fact_name) const;
  void finish(const effect_state& effect, const agent_name& of, attempt_outcome what);

  struct running {
    agent_name agent;
    effect_state effect;
  };
  struct mail {
    group_id target;
    mail_stamp stamp;
    outbox_message message;
  };
  struct receipt {
    group_id source, target;
    std::uint64_t sequence;
    bool taken;
    std::uint64_t epoch;
  };

  std::uint16_t partitions;
  time_us now = agent_bench::t0;
  agent_bench lends;
  memory_store disk;
  std::unique_ptr<fact_machine> machine;
  std::unique_ptr<memory_log> log;
  errc log_says = errc::ok;  ///< to everything that is proposed
  bool hold_mail = false;    ///< messages between shards stay where they are
  bool lose_mail = false;
  std::deque<mail> mails;
  std::deque<receipt> receipts;
  std::vector<running> started;  ///< effects, in the order of their starts
  std::vector<std::uint32_t> stopped;
  std::vector<std::shared_ptr<const turn_record>> committed_records;
  std::set<agent_name> passivated;
  std::map<std::uint64_t, std::vector<answer>> told;
  std::vector<errc> shards_ended;

private:
  class host;
  void leading(group_id group, std::uint64_t term) override;
  void committed(group_id group, std::uint64_t term, std::uint64_t index,
                 std::vector<std::shared_ptr<const turn_record>> records) override;
  void lost(group_id group, std::uint64_t term, errc why) override;
  std::optional<idempotency> once_of(const std::string& key, const std::string& body) const;
  host& host_of(group_id group);

  std::map<group_id, std::unique_ptr<host>> hosts_;
  std::uint64_t requests_ = 0;
};

}  // namespace holdfast::testing
