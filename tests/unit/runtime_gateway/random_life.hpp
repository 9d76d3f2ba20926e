#pragma once
// An agent that lives by chance.

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/runtime_gateway/asking.hpp"

namespace holdfast::testing {

/// Makes an agent live through runs, one commit at a time, by chance but always the same for one
/// seed.
class random_life {
public:
  random_life(fake_node& node, unsigned seed) : node_(node), chance_(seed) {}

  void step() {
    node_.clock += static_cast<time_us>(pick(3'000));
    if (run_ == 0) {
      begin();
      return;
    }
    if (model_ != 0)
      model_step();
    else if (tool_ != 0)
      tool_step();
    else
      next_call();
  }

private:
  std::size_t pick(std::size_t below) { return chance_() % below; }

  std::vector<fact> start_call() {
    const auto state = node_.state_of(one);
    const auto no = state.effect_next;
    ++step_no_;
    if (pick(2) == 0) {
      model_requested asked;
      asked.effect_no = no;
      asked.step = step_no_;
      asked.model = "primary";
      asked.term = 1;
      model_ = no;
      attempt_ = 1;
      offset_ = 0;
      return {message_appended{state.message_next, {}}, asked};
    }
    tool_requested asked;
    asked.effect_no = no;
    asked.step = step_no_;
    asked.tool = "t";
    asked.kind = pick(3) == 0 ? effect_kind::agent : effect_kind::tool;
    asked.cls = effect_class::write;
    asked.input = "{}";
    asked.term = 1;
    tool_ = no;
    unknown_ = false;
    return {asked};
  }

  void begin() {
    run_ = ++runs_;
    step_no_ = 0;
    if (pick(2) == 0) {  // in two records
      const auto seq = node_.commit(one, {received(node_, one, run_)});
      auto facts = start_call();
      facts.insert(facts.begin(), started(node_, one, run_, seq));
      node_.commit(one, std::move(facts));
    } else {
      const auto seq = node_.state_of(one).seq + 1;
      auto facts = start_call();
      facts.insert(facts.begin(), started(node_, one, run_, seq));
      facts.insert(facts.begin(), received(node_, one, run_));
      facts.push_back(text_emitted{run_no(node_, one, run_), 0, "hi"});
      node_.commit(one, std::move(facts));
    }
  }

  void model_step() {
    switch (pick(8)) {
      case 0: {  // lost, and started again
        node_.commit(
          one,
          {effect_failed{model_, attempt_, {"reset", "r", model_, true}, false, "primary"},
           timer_set{
             ++timer_, timer_kind::retry, node_.clock + 10, {}, run_no(node_, one, run_), model_},
           effect_retry_scheduled{model_, attempt_ + 1, timer_, node_.clock + 10}});
        ++attempt_;
        node_.commit(
          one, {timer_fired{timer_, timer_kind::retry, {}}, effect_started{model_, attempt_, 1}});
        offset_ = 0;
        return;
      }
      case 1: {
        model_completed done;
        done.effect_no = model_;
        done.attempt = attempt_;
        done.used.output_tokens = 1 + pick(9);
        model_ = 0;
        auto facts = pick(2) == 0 ? std::vector<fact>{} : start_call();
        facts.insert(facts.begin(), done);
        if (facts.size() == 1)
          end(std::move(facts));
        else
          node_.commit(one, std::move(facts));
        return;
      }
      default: {
        const std::string text(1 + pick(5), 'x');
        node_.commit(one, {text_streamed{model_, attempt_, offset_, text}});
        offset_ += text.size();
      }
    }
  }

  void tool_step() {
    if (unknown_) {
      node_.commit(one, {effect_reconciled{tool_, resolution::succeeded, "1", "n", "me", "t"}});
      tool_ = 0;
      return next_call();
    }
    switch (pick(4)) {
      case 0:
        unknown_ = true;
        node_.commit(one, {effect_unknown{tool_, 1, {"timeout", "lost", tool_, false}}});
        return;
      case 1:
        node_.commit(one, {paused{"me", "r"}});
        node_.commit(one, {resumed{"me", "r"}});
        return;
      default: {
        auto facts = std::vector<fact>{tool_completed{tool_, 1, "t", R"({"r":1})"}};
        tool_ = 0;
        if (pick(3) == 0)
          return end(std::move(facts));
        for (auto& f : start_call())
          facts.push_back(std::move(f));
        node_.commit(one, std::move(facts));
      }
    }
  }

  void next_call() {
    if (pick(3) == 0)
      return end({});
    node_.commit(one, start_call());
  }

  void end(std::vector<fact> facts) {
    const auto run = run_no(node_, one, run_);
    if (pick(2) == 0)
      facts.push_back(run_completed{run, R"({"ok":1})"});
    else
      facts.push_back(run_failed{run, {"x", "y", 0, true}});
    run_ = 0;
    node_.commit(one, std::move(facts));
  }

  fake_node& node_;
  std::mt19937 chance_;
  std::uint64_t runs_ = 0;
  std::uint64_t run_ = 0;
  std::uint32_t step_no_ = 0;
  std::uint32_t model_ = 0;
  std::uint32_t attempt_ = 0;
  std::uint64_t offset_ = 0;
  std::uint32_t tool_ = 0;
  bool unknown_ = false;
  std::uint64_t timer_ = 0;
};

}  // namespace holdfast::testing
