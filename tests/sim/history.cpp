#include "tests/sim/history.hpp"

#include <algorithm>

#include "persistence/keys.hpp"
#include "runtime/core/evolve.hpp"
#include "runtime/core/wake_cause.hpp"
#include "schemas/codec.hpp"

namespace holdfast::sim {

namespace {

/// The client's own mark of an event; empty for events that agents send each other.
std::string tag_of(const event& e) {
  constexpr std::string_view mark = R"("tag":")";
  const auto at = e.data.find(mark);
  if (at == std::string::npos)
    return {};
  const auto begin = at + mark.size();
  return e.data.substr(begin, e.data.find('"', begin) - begin);
}

effect_info info_of(const agent_name& agent, effect_kind kind, effect_class cls,
                    const std::string& name, const digest128& digest) {
  effect_info info;
  info.agent = agent;
  info.kind = kind;
  info.cls = cls;
  info.name = name;
  info.digest = digest;
  return info;
}

/// What a fork at this fact takes along.
copied_state copy_of(const agent_info& agent, seq_no at) {
  const auto behind = agent.copies.upper_bound(at);
  return behind == agent.copies.begin() ? copied_state{} : std::prev(behind)->second;
}

}  // namespace

const effect_info* history::effect(const effect_key& key) const {
  const auto found = effects_.find(key);
  return found == effects_.end() ? nullptr : &found->second;
}

unsigned history::deliveries(const std::string& tag, const agent_name& to) const {
  const auto found = deliveries_.find(tag);
  if (found == deliveries_.end())
    return 0;
  const auto count = found->second.find(to);
  return count == found->second.end() ? 0 : count->second;
}

unsigned history::redrives(const std::string& tag, const agent_name& to) const {
  const auto found = redriven_.find(tag);
  if (found == redriven_.end())
    return 0;
  const auto count = found->second.find(to);
  return count == found->second.end() ? 0 : count->second;
}

unsigned history::deliveries(const std::string& tag) const {
  unsigned sum = 0;
  if (const auto found = deliveries_.find(tag); found != deliveries_.end())
    for (const auto& [agent, count] : found->second)
      sum += count;
  return sum;
}

void history::count_delivery(const event& e, const agent_name& to) {
  if (const auto tag = tag_of(e); !tag.empty())
    ++deliveries_[tag][to];
}

void history::take(group_id group, const turn_record& record, const reader& disk,
                   const catalog& definitions) {
  require(!record.facts.empty(), "a record of nothing");
  ++seen_.records;
  mix(group);
  mix(static_cast<std::uint64_t>(record.at));
  bool redrives = false;
  for (const auto& f : record.facts)
    if (const auto* dropped = std::get_if<dead_letter_dropped>(&f))
      redrives = dropped->redriven;
  for (const auto& f : record.facts) {
    if (const auto* sent = std::get_if<message_sent>(&f); sent && redrives)
      ++redriven_[tag_of(sent->message.event)][sent->message.target];
    ++seen_.facts[f.index()];
    mix(f.index());
    if (is_partition_fact(f) || record.agent.empty() || std::holds_alternative<message_sent>(f))
      take_of_partition(group, record, f);
  }
  if (record.agent.empty())
    return;
  const auto [place, fresh] = agents.try_emplace(record.agent);
  auto& agent = place->second;
  if (fresh) {
    agent.state.name = record.agent;
    names.push_back(record.agent);
    ++seen_.agents;
  }
  require(group == group_of(record.agent, partitions_), "an agent in a strange partition");
  require(record.first_seq == agent.state.seq + 1, "a gap in the facts of ",
          to_string(record.agent));
  require(record.at >= agent.state.updated_at, "time went back for ", to_string(record.agent));
  std::uint64_t waited_until = 0;
  for (const auto& f : record.facts) {
    if (is_partition_fact(f))
      continue;
    if (std::holds_alternative<awaited_event_received>(f))
      waited_until = agent.state.run->awaited->timer_id;
    before(agent, f, record.at, definitions);
    evolve(agent.state, f, record.at);
    after(group, agent, f, definitions);
  }
  require(waited_until == 0 || find_timer(agent.state, waited_until) == nullptr,
          "what was waited for came, and its timeout stays");
  if (agent.state.deleted) {
    agent = {};
    agent.state.name = record.agent;
    for (auto& [id, run] : runs)
      if (run.agent == record.agent && (run.received != 0 || run.started != 0))
        run.deleted = true;
  }
  if (const auto* made = std::get_if<forked>(&record.facts.front())) {
    const auto sent = forks_.find({record.agent, made->from, made->at});
    require(
      sent != forks_.end() && std::ranges::count(sent->second, copy_of(agent, agent.state.seq)),
      to_string(record.agent), " is not what it was forked from");
  }
  check_at_rest(group, agent, disk);
}

/// What was copied is what the agent was then.
void history::take_fork(const outbox_message& fork) {
  const auto copy = codec::decode_forked_agent(fork.payload);
  require(bool{copy}, "a fork does not parse");
  const auto from = agents.find(fork.source);
  require(from != agents.end(), "a fork of nobody");
  const copied_state copied{copy->state.conversation, copy->memory};
  // Unless it was deleted meanwhile.
  if (from->second.state.created_at == copy->state.created_at)
    require(copied == copy_of(from->second, fork.fork_at), "a fork of ", to_string(fork.source),
            " is not what it was");
  forks_[{fork.target, fork.source, fork.fork_at}].push_back(copied);
}

bool history::may_be_answered(const effect_key& asked) const {
  const auto run = runs.find(asked_.at(asked));
  if (run != runs.end() && run->second.received == 1)
    return run->second.ended == 0;
  return std::any_of(on_their_way.begin(), on_their_way.end(),
                     [&](const auto& message) { return message.second.run == asked_.at(asked); });
}

void history::take_of_partition(group_id group, const turn_record& record, const fact& f) {
  if (const auto* sent = std::get_if<message_sent>(&f)) {
    auto& last = sent_last_[{group, sent->target_group}];
    require(sent->sequence == last + 1, "an outbox number is not the next one");
    require(sent->target_group == group_of(sent->message.target, partitions_),
            "a message to a strange partition");
    last = sent->sequence;
    on_their_way[{group, sent->target_group, sent->sequence}] = {sent->message.target,
                                                                 sent->message.run};
    if (const auto& asker = sent->message.reply_to;
        asker && sent->message.kind == outbox_kind::event)
      asked_[{asker->run, asker->effect_no}] = sent->message.run;
    if (sent->message.kind == outbox_kind::cancel)
      called_off_.insert(sent->message.run);
    if (sent->message.kind == outbox_kind::fork)
      take_fork(sent->message);
  } else if (const auto* taken = std::get_if<inbound_accepted>(&f)) {
    const std::tuple key{taken->source_group, group, taken->sequence};
    require(on_their_way.erase(key) == 1, "a message was taken that was not on its way, or twice");
    taken_.insert(key);
  } else if (const auto* one = std::get_if<outbox_acked>(&f)) {
    const std::tuple key{group, one->target_group, one->sequence};
    require(taken_.contains(key), "an ack before the message was taken");
    require(acked.insert(key).second, "a message was acked twice");
  } else if (const auto* routed = std::get_if<event_routed>(&f)) {
    require(routed_.insert(routed->id).second, "two routed events with one id");
    for (const auto& route : routed->routes)
      if (route.matched)
        runs[route.run].agent = {route.type, route.key};
  } else if (const auto* letter = std::get_if<dead_lettered>(&f); letter && record.agent.empty()) {
    dead_letters.insert({group, letter->id});
  } else if (const auto* dropped = std::get_if<dead_letter_dropped>(&f)) {
    require(dead_letters.erase({group, dropped->id}) == 1, "a dead letter was dropped twice");
  } else if (std::holds_alternative<leader_started>(f)) {
    auto& last = stamped_last_[group];
    require(record.at >= last, "a term began before the last one ended");
    last = record.at;
  }
}

/// What must hold of the state that the fact meets.
void history::before(agent_info& agent, const fact& f, time_us at, const catalog& definitions) {
  const auto& state = agent.state;
  const auto open = [&](std::uint32_t no) {
    const auto* effect = find_effect(state, no);
    require(effect != nullptr, name_of(f), " of an effect that is not open");
    return effect;
  };
  const auto close_books = [&](const run_id& run) {
    if (!state.run || state.run->id != run)
      return;  // it was cancelled while it waited
    require(state.run->reserved_tokens == 0 && state.run->reserved_cost == 0,
            "a run ended with something reserved");
    runs[run].used = state.run->used;
  };
  if (const auto* model = std::get_if<model_requested>(&f)) {
    const auto spec = definitions.agent(state.name.type, state.run ? state.run->version : 0);
    if (spec && spec->def.behaviour == behaviour_kind::llm)
      require(!agent.paid.contains(model->request_digest),
              "a model request that was answered is made again");
    require(model->term == 0 || (!state.paused && !state.quarantined),
            "a model call started while its agent was held");
  } else if (const auto* tool = std::get_if<tool_requested>(&f)) {
    require(
      tool->term == 0 || tool->kind == effect_kind::agent || (!state.paused && !state.quarantined),
      "a call started while its agent was held");
  } else if (const auto* completed = std::get_if<model_completed>(&f)) {
    const auto* effect = open(completed->effect_no);
    require(effect->phase == effect_phase::started && effect->attempt == completed->attempt,
            "an answer of an attempt that is not open");
    require(effect->reserved_tokens == 0, "a model call was not settled");
    agent.paid.insert(effects_.at({effect->run, effect->no}).digest);
  } else if (const auto* done = std::get_if<tool_completed>(&f)) {
    const auto* effect = open(done->effect_no);
    require(effect->phase == effect_phase::started && effect->attempt == done->attempt,
            "an outcome of an attempt that is not open");
  } else if (const auto* begun = std::get_if<effect_started>(&f)) {
    const auto* effect = open(begun->effect_no);
    require(begun->attempt == effect->attempt + 1, "attempts are not counted one by one");
    require(effect->cls != effect_class::write || effect->phase != effect_phase::started,
            "an open write was started again");
    require(effect->phase != effect_phase::unknown, "an unknown write was started again");
    require((!state.paused && !state.quarantined) || effect->phase == effect_phase::started,
            "something new started while its agent was held");
  } else if (const auto* text = std::get_if<text_streamed>(&f)) {
    const auto* effect = open(text->effect_no);
    auto& streamed = effects_.at({effect->run, effect->no}).streamed[text->attempt];
    require(effect->attempt == text->attempt && effect->phase == effect_phase::started &&
              streamed == text->offset,
            "streamed text does not follow what was streamed");
    streamed += text->text.size();
  } else if (const auto* dropped = std::get_if<effect_abandoned>(&f)) {
    const auto* effect = open(dropped->effect_no);
    require(effect->phase != effect_phase::unknown, "an unknown write was dropped");
    require(effect->kind != effect_kind::agent ||
              called_off_.contains(asked_.at({effect->run, effect->no})),
            "a question was dropped, and who was asked does not know");
    require(effect->cls != effect_class::write || effect->kind == effect_kind::agent ||
              effect->phase != effect_phase::started,
            "a write that may have been performed was dropped");
  } else if (const auto* emitted = std::get_if<text_emitted>(&f)) {
    auto& run = runs[emitted->run];
    require(run.emitted == emitted->offset, "emitted text does not follow what was emitted");
    run.emitted += emitted->text.size();
  } else if (const auto* ended = std::get_if<run_completed>(&f)) {
    close_books(ended->run);
  } else if (const auto* failed = std::get_if<run_failed>(&f)) {
    close_books(failed->run);
  } else if (const auto* cancelled = std::get_if<run_cancelled>(&f)) {
    close_books(cancelled->run);
  } else if (const auto* fired = std::get_if<timer_fired>(&f)) {
    const auto* timer = find_timer(state, fired->timer_id);
    require(timer != nullptr, "a timer fired that was not set");
    const bool may_be_hurried =
      fired->kind == timer_kind::retry || fired->kind == timer_kind::handler;
    require(may_be_hurried || timer->due <= at, "a timer fired before its time");
  } else if (const auto* message = std::get_if<message_appended>(&f)) {
    require(message->no == state.message_next, "messages are not numbered one by one");
  }
  if (const auto* final = std::get_if<effect_failed>(&f); final && final->final)
    close(state, final->effect_no, true, false);
  else if (const auto* result = std::get_if<tool_completed>(&f))
    close(state, result->effect_no, true, true);
  else if (const auto* answer = std::get_if<model_completed>(&f))
    close(state, answer->effect_no, true, true);
  else if (const auto* found = std::get_if<effect_reconciled>(&f))
    close(state, found->effect_no, found->resolved != resolution::retry,
          found->by == "holdfast" && found->resolved == resolution::succeeded);
}

void history::close(const agent_state& state, std::uint32_t effect_no, bool finished,
                    bool answered) {
  const auto* effect = find_effect(state, effect_no);
  require(effect != nullptr, "an effect that is not open came to something");
  auto& info = effects_.at({effect->run, effect->no});
  require(!info.finished, "an effect came to something twice");
  info.answered = answered;
  if (finished)
    info.finished = true;
  else
    ++info.retries_granted;
}

void history::end(const agent_info& agent, const run_id& run, run_status how,
                  const std::string& output) {
  auto& info = runs[run];
  require(info.agent == agent.state.name, "a run ended that the agent does not have");
  require(++info.ended == 1, "a run ended twice");
  info.how = how;
  info.output = output;
}

/// What must hold of the state that the fact made.
void history::after(group_id group, agent_info& agent, const fact& f, const catalog& definitions) {
  const auto& state = agent.state;
  if (std::holds_alternative<message_appended>(f)) {
    auto copy = copy_of(agent, state.seq);
    copy.conversation = state.conversation;
    agent.copies[state.seq] = std::move(copy);
  } else if (const auto* changed = std::get_if<state_changed>(&f)) {
    agent.copies[state.seq] = {state.conversation, changed->memory};
  }
  if (const auto* arrived = std::get_if<event_received>(&f)) {
    auto& run = runs[arrived->run];
    require(run.agent.empty() || run.agent == state.name, "two agents have one run");
    run.agent = state.name;
    run.event = arrived->id;
    require(++run.received == 1, "an event was received twice");
    events_.insert(arrived->id);
    count_delivery(arrived->event, state.name);
    received.push_back(arrived->run);
  } else if (const auto* joined = std::get_if<awaited_event_received>(&f)) {
    require(joined_.insert({joined->id, state.name}).second, "an event joined twice");
    events_.insert(joined->id);
    count_delivery(joined->event, state.name);
  } else if (const auto* started = std::get_if<run_started>(&f)) {
    ++seen_.runs;
    auto& run = runs[started->run];
    run.agent = state.name;
    run.event = started->event;
    run.carried = started->carried;
    require(++run.started == 1, "a run started twice");
    require(run.ended == 0, "a run started after it ended");
    require(state.run->used == usage{}, "a run starts with something spent");
    agent.runs.push_back(started->run);
  } else if (const auto* skipped = std::get_if<event_skipped>(&f)) {
    auto& run = runs[skipped->run];
    require(run.started == 0 && run.ended == 1, "an event was skipped that was not cancelled");
    ++run.skipped;
  } else if (const auto* letter = std::get_if<dead_lettered>(&f)) {
    auto& run = runs[letter->run];
    run.agent = state.name;
    require(++run.buried == 1, "an event is a dead letter twice");
    require(dead_letters.insert({group, letter->id}).second, "two dead letters with one id");
    if (run.received == 0 && run.started == 0)
      count_delivery(letter->event, state.name);
  } else if (const auto* completed = std::get_if<run_completed>(&f)) {
    end(agent, completed->run, run_status::completed, completed->output);
  } else if (const auto* failed = std::get_if<run_failed>(&f)) {
    end(agent, failed->run, run_status::failed, {});
    require(failed->error.code != "poison_event" || runs[failed->run].buried == 1,
            "a poison event is lost");
  } else if (const auto* cancelled = std::get_if<run_cancelled>(&f)) {
    end(agent, cancelled->run, run_status::cancelled, {});
  } else if (const auto* model = std::get_if<model_requested>(&f)) {
    effects_[{state.run->id, model->effect_no}] = info_of(
      state.name, effect_kind::model, effect_class::read, model->model, model->request_digest);
  } else if (const auto* tool = std::get_if<tool_requested>(&f)) {
    const auto fresh = effects_.emplace(
      effect_key{state.run->id, tool->effect_no},
      info_of(state.name, tool->kind, tool->cls, tool->tool, tool->request_digest));
    require(fresh.second, "two effects with one number");
  } else if (const auto* reserved = std::get_if<budget_reserved>(&f)) {
    const auto spec = definitions.agent(state.name.type, state.run->version);
    require(spec != nullptr, "a run of an unknown version spends");
    require(reserved->tokens > spec->def.output_tokens_max && reserved->cost > 0,
            "a model call is not reserved for");
    const auto& limits = spec->def.limits;
    const auto& run = *state.run;
    require(limits.tokens == 0 ||
              run.used.input_tokens + run.used.output_tokens + run.reserved_tokens <= limits.tokens,
            "more tokens are reserved than the limit leaves");
    require(limits.cost == 0 || run.used.cost + run.reserved_cost <= limits.cost,
            "more money is reserved than the limit leaves");
  }
}

/// Promise P5, for the state and for what backs it on disk.
void history::check_at_rest(group_id group, const agent_info& agent, const reader& disk) const {
  const auto& state = agent.state;
  require(!is_stuck(state), to_string(state.name), " has a run that nothing will move");
  require(is_idle(state) || !wake_causes(state).empty(), to_string(state.name),
          " waits for nothing");
  const bool nothing_waits = state.mailbox_head == state.mailbox_next;
  require(!nothing_waits || state.skipped.empty(), "runs are to be skipped that do not wait");
  if (state.effects.empty() && state.timers.empty() && nothing_waits)
    return;
  const auto there = [&](family in, const std::string& key) {
    const auto found = disk.get(in, key);
    return found && *found;
  };
  require(there(family::index, keys::ready(group, state.name)) == is_ready(state),
          to_string(state.name), " is not listed as ready, or is and should not be");
  for (const auto& timer : state.timers) {
    require(there(family::timer, keys::timer(group, timer.due, state.name, timer.id)),
            "a timer has no key");
    require(state.run && state.run->id == timer.run, "a timer outlives its run");
    const auto* retried =
      timer.kind == timer_kind::retry ? find_effect(state, timer.effect_no) : nullptr;
    require(timer.kind != timer_kind::retry ||
              (retried != nullptr && retried->phase == effect_phase::retrying &&
               retried->timer_id == timer.id),
            "a backoff of a call that does not wait for it");
    require(timer.kind != timer_kind::handler || !state.run->triggers_due.empty(),
            "a handler is to be called again for nothing");
  }
  for (const auto& effect : state.effects)
    require(effect.phase != effect_phase::unknown ||
              there(family::index, keys::reconcile(group, {effect.run, effect.no})),
            "an unknown write is not in the reconcile inbox");
  for (auto no = state.mailbox_head; no != state.mailbox_next; ++no)
    require(there(family::mailbox, keys::numbered(group, state.name, no)),
            "a waiting event has no key");
}

}  // namespace holdfast::sim
