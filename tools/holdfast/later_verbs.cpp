// What the contract names and this release does not have. A verb that arrives moves to a file of
// its own.

#include "tools/holdfast/command_tree.hpp"

namespace holdfast::cli {

namespace {

struct later_verb {
  const char* name;
  const char* what;
  const char* example;
};

struct later_noun {
  const char* name;
  const char* what;
  std::vector<later_verb> verbs;
};

std::vector<later_noun> later_nouns() {
  return {
    {"schedule",
     "runs by the clock",
     {{"list", "schedules", "holdfast schedule list"},
      {"describe", "one schedule", "holdfast schedule describe daily-report"},
      {"next", "when it runs next", "holdfast schedule next daily-report 5"},
      {"pause", "no runs until resumed", "holdfast schedule pause daily-report"},
      {"resume", "run again", "holdfast schedule resume daily-report"},
      {"trigger", "run now", "holdfast schedule trigger daily-report"},
      {"backfill", "run for times that have passed",
       "holdfast schedule backfill daily-report --from 2026-11-01 --to 2026-11-08"}}},
    {"hook",
     "webhooks",
     {{"list", "sources", "holdfast hook list"},
      {"test", "what a delivery would do; nothing is stored",
       "holdfast hook test stripe --file body.json"}}},
    {"approval",
     "tool calls that wait for a person",
     {{"list", "open approvals", "holdfast approval list"},
      {"show", "one of them", "holdfast approval show apr_01j9"},
      {"approve", "let it be called", "holdfast approval approve apr_01j9 --note 'checked'"},
      {"deny", "refuse it", "holdfast approval deny apr_01j9 --note 'too much'"}}},
    {"budget",
     "what may be spent",
     {{"show", "budgets and what is spent", "holdfast budget show"},
      {"set", "change one", "holdfast budget set support --usd 20 --per 1d"}}},
    {"policy",
     "what is allowed",
     {{"test", "try a policy", "holdfast policy test -f policy.yaml"},
      {"explain", "why something was allowed or denied", "holdfast policy explain eff_01j9_2"}}},
    {"kill-switch",
     "stop all new effects",
     {{"status", "is it fired", "holdfast kill-switch status"},
      {"fire", "stop them", "holdfast kill-switch fire --type support"},
      {"release", "let them go on", "holdfast kill-switch release"}}},
  };
}

}  // namespace

void add_later_verbs(command_tree& tree) {
  for (const auto& each : later_nouns()) {
    auto& noun = tree.later_noun(tree.root(), each.name, each.what);
    for (const auto& verb : each.verbs)
      tree.later(noun, verb.name, verb.what, verb.example);
  }
  tree.later(tree.root(), "top", "live: agents by spend, mailbox depth, stall", "holdfast top");
  tree.later(tree.root(), "tui", "browse everything, full screen", "holdfast tui");
}

}  // namespace holdfast::cli
