#include "runtime/core/wake_cause.hpp"

#include <algorithm>

#include "runtime/core/evolve.hpp"

namespace holdfast {

namespace {

std::string path_of(const agent_name& name) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  std::string out = "/v1/agents/" + name.type + "/";
  for (char c : name.key) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += hex[byte >> 4];
      out += hex[byte & 15];
    }
  }
  return out;
}

wake_cause verb(wake_kind kind, time_us since, std::string detail, const agent_name& name,
                const std::string& word) {
  return {kind,
          since,
          0,
          std::move(detail),
          "holdfast agent " + word + " " + to_string(name),
          "POST",
          path_of(name) + "/" + word};
}

/// The run has nothing that will ever move it, held or not.
bool has_no_wake(const agent_state& state) noexcept {
  if (!state.run)
    return false;
  const run_id& run = state.run->id;
  const bool effect =
    std::any_of(state.effects.begin(), state.effects.end(), [&](const effect_state& e) {
      return e.run == run && (e.phase != effect_phase::retrying || state.paused ||
                              find_timer(state, e.timer_id) != nullptr);
    });
  const auto wakes = [&](const timer_state& t) {
    return t.run == run && (t.kind == timer_kind::sleep || t.kind == timer_kind::handler);
  };
  const bool timer = std::any_of(state.timers.begin(), state.timers.end(), wakes) ||
                     std::any_of(state.held_timers.begin(), state.held_timers.end(), wakes);
  return !effect && !timer && !state.run->awaited;
}

void add_holds(const agent_state& s, std::vector<wake_cause>& out) {
  if (s.quarantined) {
    auto cause =
      verb(wake_kind::quarantined, s.quarantined->since,
           "quarantined by " + s.quarantined->by + ": " + s.quarantined->reason, s.name, "resume");
    if (has_no_wake(s)) {
      cause = verb(wake_kind::quarantined, cause.since,
                   cause.detail + "; nothing would ever move its run: cancel it, then resume",
                   s.name, "cancel");
    }
    out.push_back(std::move(cause));
  }
  if (s.paused && s.paused->restored_from != 0)
    out.push_back(verb(wake_kind::restored, s.paused->since,
                       s.paused->reason + "; what was open is held until it is resumed", s.name,
                       "resume"));
  else if (s.paused)
    out.push_back(verb(wake_kind::paused, s.paused->since,
                       "paused by " + s.paused->by + ": " + s.paused->reason, s.name, "resume"));
}

void add_effects(const agent_state& s, std::vector<wake_cause>& out) {
  const bool held = s.paused || s.quarantined;
  for (const auto& e : s.effects) {
    const std::string what =
      std::string{to_string(e.kind)} + " call " + e.name + " (effect " + std::to_string(e.no) + ")";
    switch (e.phase) {
      case effect_phase::unknown:
        out.push_back({wake_kind::reconcile, e.since, 0,
                       what + " may or may not have been performed: " + e.last_error,
                       "holdfast reconcile resolve " + to_string(effect_id{e.run, e.no}) +
                         " --succeeded JSON|--retry|--failed",
                       "POST", "/v1/reconcile/" + to_string(effect_id{e.run, e.no})});
        break;
      case effect_phase::retrying: {
        const auto* timer = find_timer(s, e.timer_id);
        if (timer == nullptr)
          break;  // not a cause: nothing will wake it
        auto cause = verb(wake_kind::retry, e.since,
                          what + " failed and is tried again: " + e.last_error, s.name, "retry");
        cause.until = timer->due;
        out.push_back(std::move(cause));
        break;
      }
      case effect_phase::started:
        if (e.kind == effect_kind::agent)
          out.push_back(verb(wake_kind::child, e.since, "waits for the answer of agent " + e.name,
                             s.name, "cancel"));
        else
          out.push_back(verb(wake_kind::effect, e.since,
                             what + " is under way, attempt " + std::to_string(e.attempt), s.name,
                             "cancel"));
        break;
      case effect_phase::declared:
        if (!held)
          out.push_back(
            verb(wake_kind::effect, e.since, what + " is about to start", s.name, "cancel"));
        break;
    }
  }
}

void add_timers(const agent_state& s, std::vector<wake_cause>& out) {
  for (const auto& t : s.timers) {
    wake_cause cause;
    switch (t.kind) {
      case timer_kind::sleep:
        cause = verb(wake_kind::timer, 0, t.tag.empty() ? "sleeps" : "sleeps (" + t.tag + ")",
                     s.name, "cancel");
        break;
      case timer_kind::handler:
        cause =
          verb(wake_kind::retry, 0, "its handler failed and is called again", s.name, "retry");
        break;
      case timer_kind::wait:
      case timer_kind::retry:
      case timer_kind::wall:
        continue;  // part of another cause, or a limit, which is no reason to wait
    }
    cause.since = s.run ? s.run->started_at : s.updated_at;
    cause.until = t.due;
    out.push_back(std::move(cause));
  }
  if (s.run && s.run->awaited) {
    auto cause = verb(wake_kind::awaited_event, s.run->awaited->since,
                      "waits for an event of type " + s.run->awaited->type +
                        (s.run->awaited->where.empty() ? "" : " where " + s.run->awaited->where),
                      s.name, "send");
    cause.command = "holdfast agent send " + to_string(s.name) + " --type " + s.run->awaited->type +
                    " --data JSON";
    cause.path = path_of(s.name) + "/events";
    if (const auto* timer = find_timer(s, s.run->awaited->timer_id))
      cause.until = timer->due;
    out.push_back(std::move(cause));
  }
}

}  // namespace

std::string_view to_string(wake_kind kind) noexcept {
  switch (kind) {
    case wake_kind::mailbox:
      return "mailbox";
    case wake_kind::effect:
      return "effect";
    case wake_kind::timer:
      return "timer";
    case wake_kind::retry:
      return "retry";
    case wake_kind::approval:
      return "approval";
    case wake_kind::awaited_event:
      return "awaited_event";
    case wake_kind::child:
      return "child";
    case wake_kind::reconcile:
      return "reconcile";
    case wake_kind::budget:
      return "budget";
    case wake_kind::admission:
      return "admission";
    case wake_kind::flow_control:
      return "flow_control";
    case wake_kind::paused:
      return "paused";
    case wake_kind::quarantined:
      return "quarantined";
    case wake_kind::restored:
      return "restored";
  }
  return "mailbox";
}

std::vector<wake_cause> wake_causes(const agent_state& state) {
  std::vector<wake_cause> out;
  add_holds(state, out);
  add_effects(state, out);
  add_timers(state, out);
  const std::uint64_t waiting = state.mailbox_next - state.mailbox_head;
  if (waiting != 0 && !state.run && out.empty())
    out.push_back(verb(
      wake_kind::mailbox, state.updated_at,
      std::to_string(waiting) + (waiting == 1 ? " event waits" : " events wait") + " to be started",
      state.name, "resume"));
  std::stable_sort(out.begin(), out.end(), [](const wake_cause& a, const wake_cause& b) {
    const auto urgency = [](wake_kind kind) {
      return kind == wake_kind::quarantined ? 0
             : kind == wake_kind::paused    ? 1
             : kind == wake_kind::restored  ? 1
             : kind == wake_kind::reconcile ? 2
                                            : 3;
    };
    return urgency(a.kind) < urgency(b.kind);
  });
  return out;
}

bool is_stuck(const agent_state& state) noexcept {
  return !state.quarantined && !state.paused && has_no_wake(state);
}

bool is_idle(const agent_state& state) noexcept {
  return !state.run && state.effects.empty() && state.mailbox_head == state.mailbox_next &&
         !state.paused && !state.quarantined;
}

bool is_ready(const agent_state& state) noexcept {
  return has_more_to_start(state) ||
         std::any_of(state.effects.begin(), state.effects.end(), [](const effect_state& e) {
           return e.phase == effect_phase::declared ||
                  (e.phase == effect_phase::started && e.kind != effect_kind::agent);
         });
}

bool has_more_to_start(const agent_state& state) noexcept {
  return !state.run && state.mailbox_head != state.mailbox_next && !state.paused &&
         !state.quarantined;
}

}  // namespace holdfast
