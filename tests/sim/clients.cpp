#include "tests/sim/clients.hpp"

#include "runtime/core/wake_cause.hpp"
#include "tests/sim/simulation.hpp"

namespace holdfast::sim {

namespace {

const std::vector<std::string> keys_of_types{"a", "b", "c"};
const std::vector<std::string> types{"echo",   "loop", "llm",  "llm",  "llm",    "strict",
                                     "helper", "plan", "plan", "plan", "fragile"};

std::string kind_name(request_kind kind) {
  static const std::vector<std::string> names{"event", "routed", "verb", "resolve", "patch",
                                              "fork",  "letter", "wait", "define"};
  return names[static_cast<std::size_t>(kind)];
}

}  // namespace

void clients::act() {
  ++made;
  if (world_.random.chance(1))
    return flood();
  const auto which = world_.random.below(100);
  if (which < 42 || world_.past.names.empty())
    send_event();
  else if (which < 58)
    repeat_event();
  else if (which < 78)
    send_verb();
  else if (which < 84)
    resolve();
  else if (which < 88)
    patch();
  else if (which < 91)
    fork();
  else if (which < 94)
    settle_letter();
  else if (which < 99)
    wait_for_run();
  else
    define();
}

request_ref clients::open(request one) {
  ++world_.seen.requests[static_cast<std::size_t>(one.kind)];
  const auto id = ++requests_;
  open_.emplace(id, one);
  return {1, id};
}

void clients::forget(std::uint64_t process) {
  for (auto at = open_.begin(); at != open_.end();) {
    if (at->second.process != process) {
      ++at;
      continue;
    }
    world_.seen.count(fault::request_lost);
    at = open_.erase(at);
  }
}

// ---- events -------------------------------------------------------------------------------------

std::string clients::new_plan() {
  auto& random = world_.random;
  return make_plan(random, !world_.healed);
}

void clients::send_event() {
  auto& random = world_.random;
  sent_event one;
  one.tag = "t" + std::to_string(events_.size());
  one.is_routed = random.chance(300);
  const auto key = random.pick(keys_of_types);
  if (random.chance(650))
    one.key = "key of " + one.tag;
  one.any_body = !one.key.empty() && random.chance(300);
  std::string plan;
  if (one.is_routed) {
    static const std::vector<std::string> routed{"job.a",    "job.b",       "job.strict",
                                                 "job.plan", "job.keyless", "ping",
                                                 "ping",     "ping.alone",  "nobody.wants"};
    one.what.type = random.pick(routed);
    plan = new_plan();
  } else {
    one.to = {random.pick(types), key};
    one.what.type = "go";
    if (bombs_ == 0 && random.chance(1)) {
      ++bombs_;
      one.to = {"bomb", key};
      plan = "x";
    } else if (one.to.type == "plan" || one.to.type == "fragile") {
      plan = new_plan();
      // Somebody may be waiting for this very event.
      if (random.chance(350))
        one.what.type = "wake";
    }
    if (random.chance(30) && !world_.past.names.empty())
      one.to = random.pick(world_.past.names);
  }
  one.what.source = "sim";
  one.what.id = one.any_body ? one.tag : "";
  one.what.data = R"({"tag":")" + one.tag + R"(","k":")" + key + R"(","plan":")" + plan +
                  R"(","steps":)" + std::to_string(random.below(5)) + "}";
  events_.push_back(std::move(one));
  send(events_.size() - 1, false);
}

/// More events than one turn takes or starts, all at once.
void clients::flood() {
  const agent_name to{world_.random.chance(500) ? "echo" : "loop", std::string{flooded_key}};
  verb(to, control_verb::pause, {}, false);
  for (int i = 0; i < 90; ++i) {
    sent_event one;
    one.tag = "t" + std::to_string(events_.size());
    one.to = to;
    one.what.type = "go";
    one.what.source = "sim";
    one.what.data = R"({"tag":")" + one.tag + R"("})";
    if (world_.random.chance(100))
      one.key = "key of " + one.tag;
    events_.push_back(std::move(one));
    send(events_.size() - 1, false);
  }
  verb(to, control_verb::resume, {}, false);
}

void clients::repeat_event() {
  if (events_.empty())
    return send_event();
  // Rather a late one: an early repeat meets the first in flight.
  const auto back = world_.random.below(
    std::min<std::uint64_t>(events_.size(), world_.random.chance(700) ? 4 : 200));
  const auto which = events_.size() - 1 - back;
  if (events_[which].key.empty())
    return send_event();
  world_.seen.count(fault::request_repeated);
  send(which, events_[which].accepted && !events_[which].any_body && world_.random.chance(100));
}

void clients::send(std::size_t which, bool other_body) {
  auto& one = events_[which];
  std::optional<idempotency> once;
  if (!one.key.empty()) {
    once.emplace();
    once->scope = digest_of({one.key});
    if (!one.any_body)
      once->body = digest_of({one.what.data, other_body ? "other" : ""});
    once->expires = world_.now + 7 * 86'400'000'000LL;
  }
  group_id group = 0;
  if (!one.is_routed)
    group = group_of(one.to, simulation::partitions);
  else if (once)
    group = group_of(once->scope.view(), simulation::partitions);
  else
    group = group_of(std::string_view{one.tag}, simulation::partitions);
  auto* to = world_.find(group);
  if (to == nullptr)
    return;  // "the partition is starting": nothing was sent
  request made_now;
  made_now.kind = one.is_routed ? request_kind::routed : request_kind::event;
  made_now.process = to->id;
  made_now.of = which;
  made_now.other_body = other_body;
  made_now.until_end = !one.is_routed && world_.random.chance(250);
  const auto from = open(made_now);
  world_.say("request ", std::to_string(from.id), " sends ", one.tag, " ", one.what.type, " to ",
             one.is_routed ? "whom it concerns" : to_string(one.to), " ", one.key);
  if (one.is_routed) {
    to->core->route(one.what, "none", once, from);
    return;
  }
  deliver_event cmd;
  cmd.event = one.what;
  cmd.verified = "none";
  to->submit(one.to, {std::move(cmd), from, made_now.until_end, once, {}});
}

bool clients::repeat_unanswered() {
  bool any = false;
  for (std::size_t i = 0; i < events_.size(); ++i)
    if (!events_[i].key.empty() && !events_[i].accepted && !events_[i].refused) {
      any = true;
      send(i, false);
    }
  return any;
}

// ---- the rest -----------------------------------------------------------------------------------

void clients::verb(const agent_name& to, control_verb what, run_id run, bool from_start) {
  auto* shard = world_.find(group_of(to, simulation::partitions));
  if (shard == nullptr)
    return;
  request made_now;
  made_now.kind = request_kind::verb;
  made_now.process = shard->id;
  const auto from = open(made_now);
  ++world_.seen.verbs[static_cast<std::size_t>(what)];
  world_.say("request ", std::to_string(from.id), " ", std::string{to_string(what)}, " ",
             to_string(to));
  std::optional<idempotency> once;
  if (world_.random.chance(100)) {
    const std::string key = "verb " + std::to_string(world_.random.below(40)) + to_string(to);
    once = idempotency{digest_of({key, to_string(what)}), {}, world_.now + 86'400'000'000LL};
  }
  auto note = std::make_shared<audit_recorded>();
  note->by = "sim";
  note->subject = to_string(to) + ' ' + std::string{to_string(what)};
  note->outcome = "done";
  shard->submit(
    to, {control{what, "sim", "because", run, from_start}, from, false, once, {}, std::move(note)});
}

void clients::send_verb() {
  auto& random = world_.random;
  static const std::vector<control_verb> verbs{
    control_verb::pause,  control_verb::pause,  control_verb::resume,     control_verb::resume,
    control_verb::resume, control_verb::resume, control_verb::cancel,     control_verb::cancel,
    control_verb::kill,   control_verb::kill,   control_verb::retry,      control_verb::retry,
    control_verb::retry,  control_verb::retry,  control_verb::quarantine, control_verb::remove,
    control_verb::remove};
  const auto what = random.pick(verbs);
  const auto to = random.pick(world_.past.names);
  run_id run;
  if ((what == control_verb::cancel || what == control_verb::retry) && !known_runs_.empty() &&
      random.chance(500))
    run = random.pick(known_runs_);
  // Often one that has not begun.
  const auto& received = world_.past.received;
  if (what == control_verb::cancel && random.chance(400) && !received.empty())
    run = received[received.size() - 1 - random.below(std::min<std::size_t>(received.size(), 8))];
  if (what == control_verb::retry && run.empty())
    run = world_.past.agents.at(to).state.last_run;
  if (!run.empty() && what == control_verb::cancel)
    if (const auto known = world_.past.runs.find(run); known != world_.past.runs.end())
      return verb(known->second.agent, what, run, false);
  verb(to, what, what == control_verb::retry && random.chance(500) ? run_id{} : run,
       random.chance(300));
}

void clients::resolve_one(const agent_name& of, const effect_state& effect, resolution how) {
  auto* shard = world_.find(group_of(of, simulation::partitions));
  if (shard == nullptr)
    return;
  request made_now;
  made_now.kind = request_kind::resolve;
  made_now.process = shard->id;
  const auto from = open(made_now);
  world_.say("request ", std::to_string(from.id), " resolves an effect of ", to_string(of));
  shard->submit(of, {resolve_effect{{effect.run, effect.no}, how, R"({"by":"hand"})", "", "sim"},
                     from,
                     false,
                     {},
                     {}});
}

void clients::resolve() {
  auto& random = world_.random;
  for (std::size_t i = 0, start = random.below(world_.past.names.size());
       i < world_.past.names.size(); ++i) {
    const auto& name = world_.past.names[(start + i) % world_.past.names.size()];
    for (const auto& effect : world_.past.agents.at(name).state.effects)
      if (effect.phase == effect_phase::unknown)
        return resolve_one(name, effect, static_cast<resolution>(1 + random.below(3)));
  }
}

void clients::patch() {
  auto& random = world_.random;
  const auto to = random.pick(world_.past.names);
  auto* shard = world_.find(group_of(to, simulation::partitions));
  if (shard == nullptr)
    return;
  request made_now;
  made_now.kind = request_kind::patch;
  made_now.process = shard->id;
  patch_state cmd{R"({"note":)" + std::to_string(random.below(100)) + "}", {}, "sim"};
  if (random.chance(500))
    cmd.if_seq = world_.past.agents.at(to).state.seq - random.below(2);
  shard->submit(to, {std::move(cmd), open(made_now), false, {}, {}});
}

void clients::fork() {
  auto& random = world_.random;
  const auto of = random.pick(world_.past.names);
  auto* shard = world_.find(group_of(of, simulation::partitions));
  const auto seq = world_.past.agents.at(of).state.seq;
  if (shard == nullptr || seq == 0)
    return;
  request made_now;
  made_now.kind = request_kind::fork;
  made_now.process = shard->id;
  agent_name to{of.type, "fork" + std::to_string(forks_++)};
  if (random.chance(100))
    to = of;  // it exists
  const auto from = open(made_now);
  world_.say("request ", std::to_string(from.id), " forks ", to_string(of), " to ", to_string(to));
  shard->core->fork(of, 1 + random.below(seq), std::move(to), from);
}

void clients::settle_letter() {
  const auto& letters = world_.past.dead_letters;
  if (letters.empty())
    return;
  auto at = letters.begin();
  std::advance(at, world_.random.below(letters.size()));
  auto* shard = world_.find(at->first);
  if (shard == nullptr)
    return;
  for (int i = world_.random.chance(200) ? 2 : 1; i > 0; --i) {
    request made_now;
    made_now.kind = request_kind::letter;
    made_now.process = shard->id;
    shard->core->settle_dead_letter(at->second, world_.random.chance(600), open(made_now));
  }
}

void clients::wait_for_run() {
  if (known_runs_.empty())
    return;
  const auto run = world_.random.pick(known_runs_);
  const auto known = world_.past.runs.find(run);
  if (known == world_.past.runs.end())
    return;
  auto* shard = world_.find(group_of(known->second.agent, simulation::partitions));
  if (shard == nullptr)
    return;
  request made_now;
  made_now.kind = request_kind::wait;
  made_now.process = shard->id;
  made_now.waits_for = run;
  shard->core->wait_for(run, open(made_now));
}

void clients::define() {
  ++world_.seen.requests[static_cast<std::size_t>(request_kind::define)];
  world_.define(++versions_);
}

// ---- answers ------------------------------------------------------------------------------------

void clients::tell(const request_ref& to, const answer& what) {
  const auto found = open_.find(to.id);
  require(found != open_.end(), "an answer to a request that was answered before");
  auto& one = found->second;
  const std::string kind = kind_name(one.kind);
  if (const auto* accepted = std::get_if<accepted_event>(&what)) {
    world_.say("  ", std::to_string(to.id), " is accepted");
    require(
      one.kind == request_kind::event || (one.kind == request_kind::verb && accepted->replayed),
      "accepted: ", kind);
    if (one.kind == request_kind::event)
      take_acceptance(one, *accepted);
    if (one.until_end) {
      require(!one.accepted, "accepted twice");
      one.accepted = true;
      return;  // the end is still to come
    }
  } else if (const auto* end = std::get_if<run_answer>(&what)) {
    require(one.until_end || one.kind == request_kind::wait, "an end that nobody waits for");
    check_end(*end);
    if (one.kind == request_kind::wait)
      require(end->end.summary.id == one.waits_for, "the end of another run");
    else
      take_acceptance(
        one, {end->end.summary.agent, end->event, end->end.summary.id, false, end->replayed});
  } else if (const auto* routed = std::get_if<routed_event>(&what)) {
    require(one.kind == request_kind::routed, "routed: ", kind);
    require(!one.other_body, "another body under one key was accepted");
    require(world_.past.has_routed(routed->event),
            "a routed event was acknowledged before it was durable");
    auto& sent = events_[one.of];
    require(!sent.accepted || sent.routed_as == routed->event, "one key, two events");
    sent.accepted = true;
    sent.routed_as = routed->event;
    if (!routed->routes.empty() || sent.routes.empty())
      sent.routes = routed->routes;
    for (const auto& route : routed->routes)
      if (route.matched)
        known_runs_.push_back(route.run);
  } else if (const auto* why = std::get_if<error>(&what)) {
    world_.say("  ", std::to_string(to.id), " is refused: ", std::string{to_string(why->code)}, " ",
               why->context);
    require(
      why->code != errc::internal && why->code != errc::corrupt && why->code != errc::io_failure,
      "an answer that is a bug: ", why->context);
    if (one.kind == request_kind::event || one.kind == request_kind::routed) {
      auto& sent = events_[one.of];
      if (why->code == errc::idempotency_conflict)
        require(one.other_body, "the same request is another");
      else if (why->code != errc::gone && why->code != errc::overloaded &&
               why->code != errc::not_leader)
        sent.refused = true;
    }
  } else {
    require(std::holds_alternative<command_done>(what), "an answer of no use");
    require(one.kind != request_kind::event && one.kind != request_kind::routed, "done: ", kind);
  }
  open_.erase(found);
}

void clients::take_acceptance(request& one, const accepted_event& told) {
  require(!one.other_body, "another body under one key was accepted");
  require(world_.past.knows_event(told.event), "an event was acknowledged before it was durable");
  auto& sent = events_[one.of];
  require(told.agent == sent.to, "accepted by another agent");
  if (sent.accepted)
    require(sent.as.event == told.event && sent.as.run == told.run, "one key, two events");
  sent.accepted = true;
  sent.as = told;
  known_runs_.push_back(told.run);
}

void clients::check_end(const run_answer& told) const {
  const auto& end = told.end;
  const auto found = world_.past.runs.find(end.summary.id);
  require(found != world_.past.runs.end() && found->second.ended == 1,
          "the end of a run that is not over");
  require(found->second.how == end.summary.status, "a run ended otherwise than was told");
  if (end.summary.status == run_status::completed)
    require(found->second.output == end.output, "a run's output is not what was told");
}

// ---- the end ------------------------------------------------------------------------------------

bool clients::tidy_up(bool all_runs) {
  bool any = false;
  const auto names = world_.past.names;
  for (const auto& name : names) {
    const auto state = world_.past.agents.at(name).state;
    if (is_idle(state))
      continue;
    any = true;
    const bool stuck = state.quarantined && state.quarantined->by == "holdfast";
    if (stuck && state.run)
      verb(name, control_verb::kill, {}, false);
    if (state.paused || state.quarantined)
      verb(name, control_verb::resume, {}, false);
    for (const auto& effect : state.effects)
      if (effect.phase == effect_phase::unknown)
        resolve_one(name, effect,
                    world_.random.chance(500) ? resolution::succeeded : resolution::failed);
    const bool for_ever = state.run && state.run->awaited && state.run->awaited->timer_id == 0;
    if (state.run && (for_ever || all_runs))
      verb(name, control_verb::cancel, {}, false);
  }
  return any;
}

void clients::check() const {
  for (const auto& [id, one] : open_)
    require(false, "request ", std::to_string(id), " was never answered: ", kind_name(one.kind));
  const auto& past = world_.past;
  for (const auto& sent : events_) {
    if (!sent.is_routed) {
      const auto count = past.deliveries(sent.tag, sent.to);
      const auto redriven = past.redrives(sent.tag, sent.to);
      require(past.deliveries(sent.tag) == count, sent.tag, " went elsewhere");
      require(count <= 1 + redriven, sent.tag, " was delivered ", std::to_string(count), " times");
      if (!sent.accepted)
        continue;
      require(count == 1 + redriven, sent.tag, " was accepted and delivered ",
              std::to_string(count), " times");
      const auto run = past.runs.find(sent.as.run);
      require(run != past.runs.end() && run->second.ended == 1, "the run of ", sent.tag,
              " is not over");
      require(sent.as.merged || run->second.received == 1 || past.joined(sent.as.event, sent.to),
              sent.tag, " was not received");
      continue;
    }
    for (const auto& route : sent.routes) {
      if (!route.matched)
        continue;
      const agent_name to{route.type, route.key};
      const auto count = past.deliveries(sent.tag, to);
      require(count == 1 + past.redrives(sent.tag, to), sent.tag, " was delivered ",
              std::to_string(count), " times to ", to_string(to));
      const auto run = past.runs.find(route.run);
      require(run != past.runs.end(), "a routed event set off nothing");
      require((run->second.ended == 1 && run->second.received == 1) || run->second.buried == 1 ||
                past.joined(sent.routed_as, to),
              "a routed event was not processed");
    }
    if (sent.key.empty() && !sent.accepted)
      continue;
    std::size_t matched = 0;
    for (const auto& route : sent.routes)
      matched += route.matched ? 1 : 0;
    if (sent.accepted && matched == 0)
      require(past.deliveries(sent.tag) == 0, sent.tag, " was delivered to nobody's wish");
  }
}

}  // namespace holdfast::sim
