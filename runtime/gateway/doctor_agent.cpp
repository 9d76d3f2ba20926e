#include "runtime/gateway/doctor_agent.hpp"

#include <algorithm>

#include "persistence/keys.hpp"
#include "runtime/core/evolve.hpp"
#include "runtime/core/stored_records.hpp"
#include "runtime/core/wake_cause.hpp"

namespace holdfast {

namespace {

class agent_examination {
public:
  agent_examination(const reader& records, group_id group, std::uint16_t partitions,
                    const agent_state& state)
    : records_(records),
      group_(group),
      partitions_(partitions),
      s_(state),
      own_(records, group, state.name) {}

  std::vector<doctor_finding> look(bool ready) {
    if (group_of(s_.name, partitions_) != group_)
      found("misplaced", "it is kept in partition " + std::to_string(group_) + ", but belongs to " +
                           std::to_string(group_of(s_.name, partitions_)));
    if (is_ready(s_) != ready)
      found(ready ? "ready_orphan" : "ready_missing",
            ready ? "the ready index names it, but it has nothing to start"
                  : "it has something to start, but the ready index does not name it: a restart "
                    "would forget it");
    if (!is_idle(s_) || !s_.timers.empty())
      look_at_open_work();
    if (s_.memory_seq != 0 && !own_.memory(s_.memory_seq))
      found("memory_missing", "its memory at " + std::to_string(s_.memory_seq) + " cannot be read");
    if (s_.message_next > 1 && !own_.messages(s_.message_next - 1, s_.message_next))
      found("message_missing", "the last message of its conversation cannot be read");
    return std::move(findings_);
  }

private:
  void found(std::string code, std::string detail) {
    findings_.push_back(agent_finding(s_.name, std::move(code), std::move(detail)));
  }

  void look_at_open_work() {
    if (!is_idle(s_) && wake_causes(s_).empty())
      found("no_wake_cause",
            "it is " + std::string{to_string(status_of(s_))} + ", but nothing will ever wake it");
    if (is_stuck(s_))
      found("stuck", "its run " + to_string(s_.run->id) + " waits for no effect, timer or event");
    look_at_run();
    for (const auto& timer : s_.timers)
      look_at(timer);
    for (const auto& effect : s_.effects)
      look_at(effect);
    for (std::uint64_t no = s_.mailbox_head;
         no != s_.mailbox_next && findings_.size() < doctor_findings_max; ++no)
      look_at_waiting(no);
    const auto beyond = keys::numbered_range(group_, s_.name, s_.seq + 1);
    if (records_.scan(family::journal, beyond.lower, beyond.upper)->valid())
      found("journal_beyond_state",
            "its journal goes beyond " + std::to_string(s_.seq) + ", where its state is");
  }

  void look_at_run() {
    if (!s_.run)
      return;
    const auto& run = *s_.run;
    const auto summary = load_run(records_, group_, run.id);
    if (!summary || !*summary)
      found("run_missing", "its open run " + to_string(run.id) + " is not among the runs");
    if (const auto key = records_.get(family::index, keys::agent_run(group_, s_.name, run.id));
        !key || !*key)
      found("run_missing", "its open run " + to_string(run.id) + " is not in its list of runs");
    if (!is_event_at(run.event_seq, {}))
      found("event_missing", "the event of its run " + to_string(run.id) + " cannot be read");
    if (run.version == 0)
      return;
    const auto definition =
      records_.get(family::definitions, keys::definition("agent", s_.name.type, run.version));
    if (!definition || !*definition)
      found("definition_missing", "its run " + to_string(run.id) + " is pinned to version " +
                                    std::to_string(run.version) +
                                    " of the type, which is not there");
  }

  void look_at(const timer_state& timer) {
    const auto key = records_.get(family::timer, keys::timer(group_, timer.due, s_.name, timer.id));
    if (!key || !*key)
      found("timer_missing", std::string{to_string(timer.kind)} + " timer " +
                               std::to_string(timer.id) +
                               " has no key on disk: it will never fire");
  }

  /// True when a message to that agent that fits is still in the group's outbox.
  template <class Fits>
  bool is_on_its_way(group_id source, group_id target, Fits fits) {
    const auto range = keys::outboxes(source);
    for (auto at = records_.scan(family::outbox, range.lower, range.upper); at->valid();
         at->next()) {
      const auto key = keys::outbox_of(at->key());
      if (!key || key->target != target)
        continue;
      if (const auto message = codec::decode_outbox_message(at->value()); message && fits(*message))
        return true;
    }
    return false;
  }

  /// Who waits for another agent's answer needs the question under way, the run that it set off, or the answer under way.
  void look_at_child(const effect_state& effect, const std::string& what) {
    const auto next = own_.fact_at(effect.seq + 1);  // declared together
    const auto* sent = next ? std::get_if<message_sent>(&*next) : nullptr;
    if (sent == nullptr) {
      found("child_question_missing", "the question of " + what + " cannot be read");
      return;
    }
    const auto& question = sent->message;
    const auto is_open = [&] {
      const auto run = load_run(records_, sent->target_group, question.run);
      return run && *run && (*run)->ended_at == 0;
    };
    if (is_open())
      return;
    const reply_address here{s_.name, effect.run, effect.no};
    const bool asked = is_on_its_way(
      group_, sent->target_group, [&](const outbox_message& m) { return m.run == question.run; });
    if (is_open())  // it arrived between the two looks
      return;
    const bool answered = is_on_its_way(sent->target_group, group_, [&](const outbox_message& m) {
      return m.kind == outbox_kind::outcome && m.reply_to == here;
    });
    if (!asked && !answered)
      found("child_gone", what + " waits for an answer of " + to_string(question.target) +
                            ", which has no open run for it and has sent none");
  }

  void look_at(const effect_state& effect) {
    const std::string what = "effect " + std::to_string(effect.no) + " (" + effect.name + ")";
    const auto asked = own_.fact_at(effect.seq);
    const auto* model = asked ? std::get_if<model_requested>(&*asked) : nullptr;
    const auto* tool = asked ? std::get_if<tool_requested>(&*asked) : nullptr;
    if ((model == nullptr || model->effect_no != effect.no) &&
        (tool == nullptr || tool->effect_no != effect.no))
      found("effect_fact_missing", "the request of " + what + " cannot be read");
    if (effect.kind == effect_kind::agent && effect.phase == effect_phase::started)
      look_at_child(effect, what);
    if (effect.phase == effect_phase::retrying && find_timer(s_, effect.timer_id) == nullptr &&
        !s_.paused && !s_.quarantined)  // else it starts when the hold ends
      found("timer_missing", what + " waits for a retry, but no timer is set for it");
    if (effect.phase != effect_phase::unknown)
      return;
    const auto listed =
      records_.get(family::index, keys::reconcile(group_, {effect.run, effect.no}));
    if (!listed || !*listed)
      found("reconcile_missing",
            "the outcome of " + what + " is not known, but the reconcile inbox does not list it");
    else if (**listed != to_string(s_.name))
      found("reconcile_missing", "the reconcile inbox lists " + what + " under " + **listed);
  }

  void look_at_waiting(std::uint64_t no) {
    const auto entry = own_.mailbox(no);
    if (!entry)
      found("mailbox_missing", "entry " + std::to_string(no) + " of its mailbox cannot be read");
    else if (!is_event_at(entry->event_seq, entry->id))
      found("event_missing",
            "the event of entry " + std::to_string(no) + " of its mailbox cannot be read");
  }

  /// `id` empty: any event.
  bool is_event_at(seq_no seq, const event_id& id) const {
    const auto recorded = own_.fact_at(seq);
    const auto* received = recorded ? std::get_if<event_received>(&*recorded) : nullptr;
    return received != nullptr && (id.empty() || received->id == id);
  }

  const reader& records_;
  group_id group_;
  std::uint16_t partitions_;
  const agent_state& s_;
  stored_records own_;
  std::vector<doctor_finding> findings_;
};

constexpr int looks_max = 8;

}  // namespace

agent_counts counts_of(const agent_state& state) {
  agent_counts out;
  out.waiting_events = state.mailbox_next - state.mailbox_head;
  out.open_effects = state.effects.size();
  out.timers = state.timers.size();
  out.unknown_effects = static_cast<std::uint64_t>(
    std::count_if(state.effects.begin(), state.effects.end(),
                  [](const effect_state& e) { return e.phase == effect_phase::unknown; }));
  return out;
}

doctor_finding agent_finding(const agent_name& name, std::string code, std::string detail) {
  const std::string agent = to_string(name);
  std::string unblock = "holdfast agent why " + agent;
  if (code == "stuck" || code == "no_wake_cause" || code == "timer_missing")
    unblock = "holdfast agent kill " + agent + ", then holdfast agent retry " + agent;
  else if (code == "definition_missing")
    unblock =
      "holdfast apply -f the definition of " + name.type + ", then holdfast agent retry " + agent;
  return {std::move(code), agent, std::move(detail), std::move(unblock)};
}

std::vector<doctor_finding> check_agent(const reader& records, group_id group,
                                        std::uint16_t partitions, const agent_state& state,
                                        bool ready) {
  return agent_examination{records, group, partitions, state}.look(ready);
}

std::vector<doctor_finding> confirm_agent(const reader& records, group_id group,
                                          std::uint16_t partitions, const agent_name& name) {
  for (int look = 0; look < looks_max; ++look) {
    const auto before = load_agent(records, group, name);
    if (!before)
      return {agent_finding(name, "unreadable",
                            "its snapshot cannot be read: " + before.error().context)};
    const auto key = records.get(family::index, keys::ready(group, name));
    std::vector<doctor_finding> findings;
    if (!*before) {
      if (key && *key)
        findings.push_back(agent_finding(name, "ready_orphan",
                                         "the ready index names it, but there is no such agent"));
    } else {
      findings = check_agent(records, group, partitions, **before, key && *key);
    }
    if (findings.empty())
      return {};
    const auto after = load_agent(records, group, name);
    const bool stood_still = after && after->has_value() == before->has_value() &&
                             (!*after || (*after)->seq == (*before)->seq);
    if (stood_still)
      return findings;
  }
  return {};
}

}  // namespace holdfast
