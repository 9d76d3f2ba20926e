#include "runtime/gateway/run_tracker.hpp"

#include <type_traits>

namespace holdfast {

namespace {

template <class T>
concept of_effect = requires(const T& f) {
  f.effect_no;
};
template <class T>
concept of_run = requires(const T& f) {
  f.run;
};

}  // namespace

std::uint32_t effect_no_of(const fact& f) noexcept {
  return std::visit(
    []<class T>(const T& one) -> std::uint32_t {
      if constexpr (of_effect<T>)
        return one.effect_no;
      else
        return 0;
    },
    f);
}

void run_tracker::take(const fact& f) {
  if (const auto* started = std::get_if<run_started>(&f)) {
    run_ = started->run;
    ended_ = false;
    effects_.clear();
  } else if (const auto* model = std::get_if<model_requested>(&f)) {
    effects_[model->effect_no] = {
      run_,        effect_kind::model,    effect_class::read,        model->model,
      model->step, model->request_digest, model->term != 0 ? 1U : 0U};
  } else if (const auto* tool = std::get_if<tool_requested>(&f)) {
    effects_[tool->effect_no] = {run_,
                                 tool->kind,
                                 tool->cls,
                                 tool->tool,
                                 tool->step,
                                 tool->request_digest,
                                 tool->term != 0 ? 1U : 0U};
  } else if (const auto* again = std::get_if<effect_started>(&f)) {
    if (const auto found = effects_.find(again->effect_no); found != effects_.end())
      found->second.attempt = again->attempt;
  } else if (const auto* completed = std::get_if<run_completed>(&f)) {
    ended_ = ended_ || completed->run == run_;
  } else if (const auto* failed = std::get_if<run_failed>(&f)) {
    ended_ = ended_ || failed->run == run_;
  } else if (const auto* cancelled = std::get_if<run_cancelled>(&f)) {
    ended_ = ended_ || cancelled->run == run_;
  }
}

void run_tracker::end_record() {
  if (!ended_)
    return;
  run_ = {};
  ended_ = false;
}

run_id run_tracker::run_of(const fact& f) const {
  if (const std::uint32_t no = effect_no_of(f); no != 0) {
    if (const auto* known = effect(no))
      return known->run;
    if (!std::holds_alternative<timer_set>(f))
      return {};  // of a run before
  }
  return std::visit(
    [&]<class T>(const T& one) -> run_id {
      if constexpr (std::is_same_v<T, paused> || std::is_same_v<T, resumed> ||
                    std::is_same_v<T, quarantined> || std::is_same_v<T, forked>)
        return {};
      else if constexpr (of_run<T>)
        return one.run;
      else
        return run_;
    },
    f);
}

const tracked_effect* run_tracker::effect(std::uint32_t no) const noexcept {
  const auto found = effects_.find(no);
  return found == effects_.end() ? nullptr : &found->second;
}

}  // namespace holdfast
