#pragma once
// Those who use the node: they send events, repeat them when they hear nothing, steer agents, and
// hold the node to its answers.

#include <unordered_map>

#include "persistence/store.hpp"
#include "runtime/core/answer.hpp"
#include "tests/sim/history.hpp"

namespace holdfast::sim {

class simulation;

enum class request_kind : std::uint8_t {
  event,
  routed,
  verb,
  resolve,
  patch,
  fork,
  letter,
  wait,
  define
};
inline constexpr std::size_t request_kind_count = 9;

class clients {
public:
  explicit clients(simulation& world) : world_(world) {}

  /// Makes one request, or repeats one.
  void act();
  void tell(const request_ref& to, const answer& what);
  /// The process that these requests went to is gone.
  void forget(std::uint64_t process);

  /// Repeats what has a key and was neither accepted nor refused. True when there was any.
  bool repeat_unanswered();
  /// Lifts holds, resolves unknown writes, ends runs that wait for ever. True when there was
  /// anything to do.
  /// `all_runs`: ends every open one, such as those of agents that ask each other.
  bool tidy_up(bool all_runs);
  /// At rest: nothing is open, and every accepted event was delivered as often as it must be.
  void check() const;

  /// Of the agents that are flooded.
  static constexpr std::string_view flooded_key = "flooded";

  std::uint64_t made = 0;

private:
  /// An event as its sender sees it, however often it sends it.
  struct sent_event {
    std::string tag;
    agent_name to;  ///< direct
    event what;
    bool is_routed = false;
    std::string key;        ///< of idempotency; empty: sent once
    bool any_body = false;  ///< the sender's own id: any body is the same event
    bool accepted = false;
    bool refused = false;
    accepted_event as;
    event_id routed_as;
    std::vector<route> routes;
  };
  struct request {
    request_kind kind = request_kind::event;
    std::uint64_t process = 0;
    std::size_t of = 0;  ///< sent_event
    bool other_body = false;
    bool until_end = false;
    bool accepted = false;
    run_id waits_for;
  };

  request_ref open(request one);
  void send_event();
  void flood();
  void repeat_event();
  void send(std::size_t which, bool other_body);
  void send_verb();
  void verb(const agent_name& to, control_verb what, run_id run, bool from_start);
  void resolve();
  void resolve_one(const agent_name& of, const effect_state& effect, resolution how);
  void patch();
  void fork();
  void settle_letter();
  void wait_for_run();
  void define();
  void take_acceptance(request& one, const accepted_event& told);
  void check_end(const run_answer& told) const;
  std::string new_plan();

  simulation& world_;
  std::vector<sent_event> events_;
  std::vector<run_id> known_runs_;
  std::unordered_map<std::uint64_t, request> open_;
  std::unordered_map<std::uint64_t, bool> answered_;
  std::uint64_t requests_ = 0;
  unsigned forks_ = 0;
  unsigned bombs_ = 0;
  unsigned versions_ = 1;
};

}  // namespace holdfast::sim
