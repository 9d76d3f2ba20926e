#include "runtime/gateway/doctor.hpp"

#include <algorithm>
#include <set>

#include "persistence/keys.hpp"
#include "runtime/core/evolve.hpp"
#include "runtime/core/stored_records.hpp"
#include "runtime/gateway/doctor_agent.hpp"
#include "runtime/gateway/json_writer.hpp"

namespace holdfast {

namespace {

/// One partition.
class partition_examination {
public:
  partition_examination(const reader& records, group_id group, std::uint16_t partitions,
                        doctor_report& out)
    : records_(records), group_(group), partitions_(partitions), out_(out) {}

  void look() {
    read_ready();
    look_at_agents();
    for (const auto& name : ready_)  // what is left was named by no agent
      confirm(name);
    // Keys that point back at agents: where the numbers agree, every one was met above.
    if (const auto keys = count(family::timer, keys::timers_until(group_, INT64_MAX));
        keys != seen_.timers)
      look_at_timer_keys();
    if (const auto keys = count(family::mailbox, keys::group(group_)); keys != seen_.waiting_events)
      look_at_mailbox_keys();
    if (const auto keys = count(family::index, keys::reconciles(group_));
        keys != seen_.unknown_effects)
      look_at_reconcile_keys();
    look_at_outbox();
  }

private:
  void found(doctor_finding one) {
    if (out_.findings.size() == doctor_findings_max)
      out_.more = true;
    else
      out_.findings.push_back(std::move(one));
  }
  void found(std::string code, std::string detail) {
    found({std::move(code), "partition " + std::to_string(group_), std::move(detail),
           "stop the node and restore the folder from a backup, or ask for help with the output of "
           "holdfast doctor"});
  }

  void confirm(const std::string& text) {
    const auto name = parse_agent_name(text);
    if (!name)
      return found("unreadable", "a key names `" + text + "`, which is no agent");
    for (auto& one : confirm_agent(records_, group_, partitions_, *name))
      found(std::move(one));
  }

  void check(const cursor& walked, const std::string& what) {
    if (const auto state = walked.state(); !state)
      found("unreadable", "the " + what + " cannot be read to the end: " + state.error().context);
  }

  void read_ready() {
    const auto range = keys::ready_range(group_);
    const auto at = records_.scan(family::index, range.lower, range.upper);
    for (; at->valid(); at->next())
      if (const auto name = keys::agent_of(at->key()))
        ready_.insert(to_string(*name));
      else
        found("unreadable", "a key of the ready index does not parse");
    check(*at, "ready index");
  }

  void look_at_agents() {
    const auto range = keys::agents(group_);
    const auto at = records_.scan(family::snapshot, range.lower, range.upper);
    for (; at->valid(); at->next()) {
      ++out_.agents;
      const auto state = codec::decode_agent_state(at->value());
      if (!state) {
        const auto name = keys::agent_of(at->key());
        found({"unreadable", name ? to_string(*name) : "partition " + std::to_string(group_),
               "its snapshot cannot be read: " + state.error().context,
               "restore the folder from a backup"});
        continue;
      }
      const auto counts = counts_of(*state);
      seen_.waiting_events += counts.waiting_events;
      seen_.open_effects += counts.open_effects;
      seen_.timers += counts.timers;
      seen_.unknown_effects += counts.unknown_effects;
      const bool ready = !ready_.empty() && ready_.erase(to_string(state->name)) != 0;
      if (!check_agent(records_, group_, partitions_, *state, ready).empty())
        confirm(to_string(state->name));
    }
    check(*at, "agents");
    out_.waiting_events += seen_.waiting_events;
    out_.open_effects += seen_.open_effects;
    out_.timers += seen_.timers;
  }

  std::uint64_t count(family in, const keys::range& range) {
    std::uint64_t keys = 0;
    const auto at = records_.scan(in, range.lower, range.upper);
    for (; at->valid(); at->next())
      ++keys;
    check(*at, std::string{to_string(in)});
    return keys;
  }

  /// Calls `is_known(state, key)` for every key of a range and its agent, twice where the answer is
  /// no: the agent may have moved.
  template <class NameOf, class IsKnown>
  void look_for_orphans(family in, const keys::range& range, const std::string& code,
                        const std::string& what, NameOf&& name_of, IsKnown&& is_known) {
    const auto at = records_.scan(in, range.lower, range.upper);
    for (; at->valid(); at->next()) {
      const std::string key{at->key()};
      const auto name = name_of(at->key(), at->value());
      if (!name) {
        found("unreadable", "a key of " + std::string{to_string(in)} + " does not parse");
        continue;
      }
      bool known = false;
      for (int look = 0; look < 2 && !known; ++look) {
        const auto state = load_agent(records_, group_, *name);
        const auto still = records_.get(in, key);
        known = !state || !still || !*still || (*state && is_known(**state, key));
      }
      if (!known)
        found(agent_finding(*name, code, what));
    }
    check(*at, std::string{to_string(in)});
  }

  static std::optional<agent_name> by_key(std::string_view key, std::string_view) {
    return keys::agent_of(key);
  }

  void look_at_timer_keys() {
    look_for_orphans(
      family::timer, keys::timers_until(group_, INT64_MAX), "timer_orphan",
      "a timer on disk is not known to it",
      [](std::string_view key, std::string_view) {
        const auto timer = keys::timer_of(key);
        return timer ? std::optional{timer->agent} : std::nullopt;
      },
      [](const agent_state& state, const std::string& key) {
        const auto timer = keys::timer_of(key);
        const auto* known = find_timer(state, timer->timer_id);
        return known != nullptr && known->due == timer->due;
      });
  }

  void look_at_mailbox_keys() {
    look_for_orphans(family::mailbox, keys::group(group_), "mailbox_orphan",
                     "an entry of its mailbox is outside what it knows of", by_key,
                     [](const agent_state& state, const std::string& key) {
                       const auto number = keys::number_of(key);
                       return number && *number >= state.mailbox_head &&
                              *number < state.mailbox_next;
                     });
  }

  void look_at_reconcile_keys() {
    look_for_orphans(
      family::index, keys::reconciles(group_), "reconcile_orphan",
      "the reconcile inbox lists an effect that it does not wait for",
      [](std::string_view, std::string_view value) {
        const auto name = parse_agent_name(value);
        return name ? std::optional{*name} : std::nullopt;
      },
      [](const agent_state& state, const std::string& key) {
        const auto id = keys::reconcile_of(key);
        const auto* effect = id ? find_effect(state, id->no) : nullptr;
        return effect != nullptr && effect->run == id->run &&
               effect->phase == effect_phase::unknown;
      });
  }

  void look_at_outbox() {
    const auto range = keys::outboxes(group_);
    const auto at = records_.scan(family::outbox, range.lower, range.upper);
    std::vector<std::pair<group_id, std::uint64_t>> sent;
    for (; at->valid(); at->next()) {
      ++out_.messages;
      const auto key = keys::outbox_of(at->key());
      const auto message = codec::decode_outbox_message(at->value());
      if (!key || !message) {
        found("outbox_unreadable",
              "a message of its outbox cannot be read: it will never be delivered");
        continue;
      }
      if (key->target < 1 || key->target > partitions_ ||
          group_of(message->target, partitions_) != key->target)
        found("outbox_misdirected",
              "message " + std::to_string(key->sequence) + " to " + to_string(message->target) +
                " lies in the outbox for partition " + std::to_string(key->target));
      sent.emplace_back(key->target, key->sequence);
    }
    check(*at, "outbox");
    // Read after the messages: it is never behind them then.
    const auto bytes = records_.get(family::meta, keys::partition_state(group_));
    const auto state = bytes && *bytes ? codec::decode_partition_state(**bytes)
                                       : result<partition_state>{partition_state{}};
    if (!bytes || !state)
      return found("unreadable", "the state of the partition cannot be read");
    for (const auto& [target, sequence] : sent) {
      const auto next = state->out_next.find(target);
      if (next == state->out_next.end() || sequence >= next->second)
        found("outbox_ahead", "message " + std::to_string(sequence) + " to partition " +
                                std::to_string(target) + " has a number that was not given yet");
    }
  }

  const reader& records_;
  group_id group_;
  std::uint16_t partitions_;
  doctor_report& out_;
  std::set<std::string, std::less<>> ready_;
  agent_counts seen_;
};

}  // namespace

namespace {

/// The chains of every group, that of the catalogue included.
void examine_audit(const reader& records, std::uint16_t partitions, chain_digest digest,
                   doctor_report& out) {
  for (group_id group = catalog_group; group <= partitions; ++group) {
    auto chain = check_chain(records, group, digest);
    out.audited += chain.entries;
    if (chain.code.empty())
      continue;
    if (out.findings.size() == doctor_findings_max)
      out.more = true;
    else
      out.findings.push_back(
        {std::move(chain.code), "audit log of group " + std::to_string(group),
         std::move(chain.detail),
         "compare with a backup: somebody, or a disk, changed what was written"});
  }
}

}  // namespace

doctor_report examine_records(const reader& records, std::uint16_t partitions,
                              chain_digest digest) {
  doctor_report out;
  for (group_id group = 1; group <= partitions; ++group)
    partition_examination{records, group, partitions, out}.look();
  if (digest != nullptr)
    examine_audit(records, partitions, digest, out);
  return out;
}

std::string examine(const reader& records, std::uint16_t partitions, chain_digest digest) {
  const auto report = examine_records(records, partitions, digest);
  std::string body;
  json_writer json{body};
  json.begin_object();
  json.field("kind", "doctor");
  json.key("checked").begin_object();
  json.field("partitions", partitions);
  json.field("agents", report.agents);
  json.field("waiting_events", report.waiting_events);
  json.field("open_effects", report.open_effects);
  json.field("timers", report.timers);
  json.field("messages", report.messages);
  if (digest != nullptr)
    json.field("audited_calls", report.audited);
  json.end_object();
  json.key("findings").begin_array();
  for (const auto& one : report.findings) {
    json.begin_object();
    json.field("code", one.code);
    json.field("subject", one.subject);
    json.field("detail", one.detail);
    json.key("unblock").begin_object().field("command", one.command).end_object();
    json.end_object();
  }
  json.end_array();
  json.field("more", report.more);
  json.end_object();
  return body;
}

}  // namespace holdfast
