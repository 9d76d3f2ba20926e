#include "runtime/core/turn_builder.hpp"

#include <algorithm>

namespace holdfast {

turn_builder::turn_builder(agent_state state, const turn_context& context,
                           const agent_records& records)
  : state_(std::move(state)),
    context_(context),
    records_(records),
    now_(std::max(context.now, state_.updated_at)),
    base_seq_(state_.seq),
    random_(context.random) {}

namespace {

/// The effect that a fact starts, or 0.
std::uint32_t started_by(const fact& f) noexcept {
  if (const auto* model = std::get_if<model_requested>(&f))
    return model->term != 0 ? model->effect_no : 0;
  if (const auto* tool = std::get_if<tool_requested>(&f))
    return tool->term != 0 && tool->kind != effect_kind::agent ? tool->effect_no : 0;
  if (const auto* again = std::get_if<effect_started>(&f))
    return again->effect_no;
  return 0;
}

}  // namespace

void turn_builder::note_end(const fact& f) {
  ended_run end;
  const auto is_open = [&](const run_id& run) { return state_.run && state_.run->id == run; };
  if (const auto* completed = std::get_if<run_completed>(&f);
      completed && is_open(completed->run)) {
    end.summary = summary_of(state_, *state_.run);
    end.summary.status = run_status::completed;
    end.output = completed->output;
  } else if (const auto* failed = std::get_if<run_failed>(&f); failed && is_open(failed->run)) {
    end.summary = summary_of(state_, *state_.run);
    end.summary.status = run_status::failed;
    end.error = failed->error;
  } else if (const auto* cancelled = std::get_if<run_cancelled>(&f)) {
    if (is_open(cancelled->run))
      end.summary = summary_of(state_, *state_.run);
    end.summary.id = cancelled->run;
    end.summary.agent = state_.name;
    end.summary.status = run_status::cancelled;
    end.error = {"cancelled", cancelled->reason, 0, false};
  } else {
    return;
  }
  end.summary.ended_at = now_;
  end.summary.ended_seq = state_.seq + 1;
  ended_.push_back(std::move(end));
}

std::vector<effect_state> turn_builder::starts() const {
  std::vector<effect_state> out;
  for (const auto& f : facts_) {
    const std::uint32_t no = started_by(f);
    const auto* effect = no != 0 ? find_effect(state_, no) : nullptr;
    if (effect == nullptr || effect->phase != effect_phase::started ||
        effect->kind == effect_kind::agent)
      continue;
    const bool listed =
      std::any_of(out.begin(), out.end(), [&](const effect_state& e) { return e.no == no; });
    if (!listed)
      out.push_back(*effect);
  }
  return out;
}

void turn_builder::add(fact f) {
  note_end(f);
  evolve(state_, f, now_);
  facts_.push_back(std::move(f));
}

void turn_builder::rewind(checkpoint to) {
  state_ = std::move(to.state);
  facts_.resize(to.facts, fact{timer_fired{}});
  ended_.resize(to.ended);
}

result<fact> turn_builder::fact_at(seq_no seq) const {
  if (seq > base_seq_ && seq <= base_seq_ + facts_.size())
    return facts_[seq - base_seq_ - 1];
  return records_.fact_at(seq);
}

result<mailbox_entry> turn_builder::mailbox(std::uint64_t number) const {
  for (std::size_t i = 0; i < facts_.size(); ++i)
    if (const auto* received = std::get_if<event_received>(&facts_[i]);
        received && received->mailbox_no == number)
      return mailbox_entry{number, base_seq_ + i + 1, received->id, received->run, now_};
  return records_.mailbox(number);
}

result<std::string> turn_builder::memory() const {
  if (state_.memory_seq == 0)
    return std::string{"{}"};
  if (state_.memory_seq > base_seq_)
    return std::get<state_changed>(facts_[state_.memory_seq - base_seq_ - 1]).memory;
  return records_.memory(state_.memory_seq);
}

std::uint64_t turn_builder::set_timer(timer_kind kind, time_us due, std::string tag,
                                      std::uint32_t effect_no) {
  const std::uint64_t id = state_.timer_next;
  add(timer_set{id, kind, due, std::move(tag), state_.run ? state_.run->id : run_id{}, effect_no});
  return id;
}

std::shared_ptr<const compiled_agent> turn_builder::definition() const {
  if (!context_.definitions)
    return nullptr;
  return context_.definitions->agent(state_.name.type, state_.run ? state_.run->version : 0);
}

bool turn_builder::may_start() const noexcept {
  return !state_.paused && !state_.quarantined && !(state_.run && state_.run->cancel);
}

std::uint64_t turn_builder::start_term() const noexcept {
  return state_.paused || state_.quarantined ? 0 : context_.term;
}

std::uint64_t turn_builder::next_random() noexcept {  // splitmix64 (Steele, Lea, Flood 2014)
  std::uint64_t z = random_ += 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

turn_record turn_builder::take(std::uint64_t catalog_index) {
  turn_record record;
  record.at = now_;
  record.catalog_index = catalog_index;
  record.agent = state_.name;
  record.first_seq = base_seq_ + 1;
  record.facts = std::move(facts_);
  return record;
}

}  // namespace holdfast
