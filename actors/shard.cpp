#include "actors/shard.hpp"

#include <unordered_map>

#include "actors/agent.hpp"
#include "actors/effect_call.hpp"
#include "actors/instrumented.hpp"

namespace holdfast {

namespace {

/// The orchestrator of one partition: its core decides, this moves messages. Lives for one term.
class shard_state : public shard_host {
public:
  static inline constexpr const char* name = "holdfast.shard";

  explicit shard_state(shard_actor::pointer self) : self_(self) {}
  /// Nothing of a shard outlives it. (CAF destroys the state before it runs attached functors.)
  ~shard_state() override {
    for (auto& [of, call] : effects_)
      caf::anon_send_exit(call, caf::exit_reason::user_shutdown);
    for (auto& [of, agent] : agents_)
      caf::anon_send_exit(agent, caf::exit_reason::user_shutdown);
  }
  shard_state(const shard_state&) = delete;
  shard_state& operator=(const shard_state&) = delete;

  void init(services_ptr services, group_id group, std::uint64_t term) {
    services_ = std::move(services);
    group_ = group;
    term_ = term;
    shard_options options;
    options.group = group;
    options.partitions = services_->partitions;
    options.term = term;
    options.node = services_->node;
    options.agent_idle_us = services_->agent_idle_us;
    core.emplace(std::move(options), *services_->records, *this);
  }

  // ---- what the core asks for
  time_us now() override { return services_->now(); }
  std::shared_ptr<const catalog> definitions() override { return services_->definitions->get(); }
  status propose(std::shared_ptr<const turn_record> record) override {
    return services_->log->propose(group_, term_, std::move(record));
  }

  void give(const agent_name& to, agent_work work) override {
    auto& agent = agents_[to];
    if (!agent)
      agent = spawn_agent(*self_, services_, group_, term_, to,
                          caf::actor_cast<shard_reports>(shard_actor{self_}));
    self_->send(agent, atom::work_v, std::move(work));
  }

  void passivate(const agent_name& who) override {
    if (const auto found = agents_.find(who); found != agents_.end()) {
      self_->send_exit(found->second, caf::exit_reason::user_shutdown);
      agents_.erase(found);
    }
  }

  void start_effect(const agent_name& of, const effect_state& effect) override {
    auto call = spawn_effect_call(*self_, services_, {group_, term_, of, effect},
                                  caf::actor_cast<shard_reports>(shard_actor{self_}));
    self_->monitor(call);
    running_[call.address()] = {of, effect};
    effects_[{of, effect.no}] = std::move(call);
  }

  void stop_effect(const agent_name& of, std::uint32_t effect_no) override {
    if (const auto found = effects_.find({of, effect_no}); found != effects_.end()) {
      running_.erase(found->second.address());
      self_->send_exit(found->second, caf::exit_reason::user_shutdown);
      effects_.erase(found);
    }
  }

  void send(group_id target, const mail_stamp& stamp, const outbox_message& message) override {
    if (auto shard = services_->shards->find(target))
      self_->send(shard, atom::mail_v, outbox_delivery{stamp, message});
    else if (services_->send_away)
      services_->send_away(target, stamp, message);
  }

  void acknowledge(group_id source, group_id target, std::uint64_t sequence, bool taken,
                   std::uint64_t epoch) override {
    if (auto shard = services_->shards->find(source))
      self_->send(shard, atom::receipt_v, outbox_receipt{target, sequence, taken, epoch});
    else if (services_->acknowledge_away)
      services_->acknowledge_away(source, target, sequence, taken, epoch);
  }

  void tell(const request_ref& to, answer what) override { services_->tell(to, std::move(what)); }
  void publish(std::shared_ptr<const turn_record> record) override {
    services_->publish(std::move(record));
  }

  void wake_at(time_us due) override {
    if (wake_at_ != 0 && wake_at_ <= due)
      return;
    wake_at_ = due;
    const auto wait =
      std::chrono::microseconds{std::clamp<std::int64_t>(due - now(), 0, wake_us_max)};
    self_->delayed_send(shard_actor{self_}, wait, atom::wake_v);
  }

  void started() override {
    if (services_->shard_started)
      services_->shard_started(group_);
  }

  void ended(errc why) override {
    services_->shard_ended(shard_actor{self_}, group_, why);
    self_->quit(caf::exit_reason::user_shutdown);
  }

  // ---- what comes in beside the core's own messages
  void wake() {
    wake_at_ = 0;
    core->tick();
  }

  void effect_done(const agent_name& of, const complete_effect& done) {
    if (const auto found = effects_.find({of, done.effect_no}); found != effects_.end()) {
      running_.erase(found->second.address());
      effects_.erase(found);
    }
    core->submit(of, {done, {}, false, {}, {}});
  }

  /// An effect actor died without a report: its attempt failed, and may have been performed.
  void actor_down(const caf::down_msg& down) {
    const auto found = running_.find(down.source);
    if (found == running_.end())
      return;
    const auto [agent, effect] = found->second;
    attempt_outcome outcome;
    outcome.failure_reason = failure_kind::transient;
    outcome.error = {"effect_actor_died", "the call ended without an answer", effect.no, true};
    effect_done(agent, {effect.run, effect.no, effect.attempt, std::move(outcome)});
  }

  std::optional<shard_core> core;

private:
  static constexpr std::int64_t wake_us_max = 3'600'000'000;

  struct running {
    agent_name agent;
    effect_state effect;
  };

  shard_actor::pointer self_;
  services_ptr services_;
  group_id group_ = 0;
  std::uint64_t term_ = 0;
  std::unordered_map<agent_name, agent_actor> agents_;
  std::map<std::pair<agent_name, std::uint32_t>, caf::actor> effects_;
  std::map<caf::actor_addr, running> running_;
  time_us wake_at_ = 0;
};

shard_actor::behavior_type shard_behavior(self_pointer<shard_actor, shard_state> self,
                                          services_ptr services, group_id group,
                                          std::uint64_t term) {
  auto& state = self->state;
  state.init(std::move(services), group, term);
  self->set_down_handler([self](const caf::down_msg& down) { self->state.actor_down(down); });
  state.core->start();
  return {
    [self](atom::submit, submit_request& r) {
      self->state.core->submit(r.to, std::move(r.queued));
    },
    [self](atom::route, route_request& r) {
      self->state.core->route(std::move(r.sent), std::move(r.verified), std::move(r.once), r.from,
                              r.sender);
    },
    [self](atom::await, const wait_request& r) { self->state.core->wait_for(r.run, r.from); },
    [self](atom::fork, const fork_request& r) {
      self->state.core->fork(r.from, r.at, r.to, r.client, r.audit);
    },
    [self](atom::letter, const dead_letter_request& r) {
      self->state.core->settle_dead_letter(r.id, r.redrive, r.from, r.audit);
    },
    [self](atom::commit, const committed_group& group_committed) {
      self->state.core->committed(group_committed.index, group_committed.records);
    },
    [self](atom::lost) { self->quit(caf::exit_reason::user_shutdown); },
    [self](atom::mail, outbox_delivery& d) {
      self->state.core->inbound(d.stamp, std::move(d.message));
    },
    [self](atom::receipt, const outbox_receipt& r) {
      self->state.core->acknowledged(r.target, r.sequence, r.taken, r.epoch);
    },
    [self](atom::cut, std::uint64_t epoch) { self->state.core->cut(epoch); },
    [self](atom::decided, decided_turn& turn) { self->state.core->decided(std::move(turn)); },
    [self](atom::outcome, const effect_report& r) { self->state.effect_done(r.agent, r.done); },
    [self](atom::text, text_report& r) {
      self->state.core->submit(r.agent, {std::move(r.text), {}, false, {}, {}});
    },
    [self](atom::crash, const crash_report& r) { self->state.core->count_crash(r.agent, r.run); },
    [self](atom::wake) { self->state.wake(); },
  };
}

}  // namespace

shard_actor spawn_shard(caf::actor_system& system, services_ptr services, group_id group,
                        std::uint64_t term) {
  return system.spawn(shard_behavior, std::move(services), group, term);
}

}  // namespace holdfast
