#include "tests/unit/runtime_gateway/fake_node.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <span>

#include "persistence/keys.hpp"
#include "runtime/core/stored_records.hpp"
#include "runtime/definition/compilers.hpp"
#include "runtime/definition/definition_parser.hpp"

namespace holdfast::testing {

fake_node::fake_node() { define("support"); }

void fake_node::submit(agent_name to, command cmd, std::optional<idempotency> once, bool until_end,
                       audit_note audit, answer_function tell) {
  submits.push_back(
    {std::move(to), std::move(cmd), std::move(once), until_end, std::move(tell), std::move(audit)});
  if (at_once)
    submits.back().tell(at_once(submits.back()));
}

void fake_node::route(event e, std::string verified, std::optional<idempotency> once,
                      event_sender sender, answer_function tell) {
  routes.push_back(
    {std::move(e), std::move(verified), std::move(once), std::move(tell), std::move(sender)});
}

void fake_node::fork(agent_name from, seq_no at, std::string to_key, audit_note audit,
                     answer_function tell) {
  forks.push_back({std::move(from), at, std::move(to_key), std::move(tell), std::move(audit)});
}

void fake_node::apply(std::vector<definition_change_request> wanted, bool dry_run, std::string,
                      audit_note audit, answer_function tell) {
  applies.push_back({std::move(wanted), dry_run, std::move(tell), std::move(audit)});
}

void fake_node::settle_dead_letter(event_id id, bool redrive, audit_note audit,
                                   answer_function tell) {
  settles.push_back({id, redrive, std::move(tell), std::move(audit)});
}

void fake_node::audit(audit_recorded what, answer_function tell) {
  if (on_audit)
    on_audit();
  commit_to(catalog_group, {what});
  audits.push_back(std::move(what));
  tell(command_done{});
}

std::uint64_t
fake_node::subscribe(agent_name to,
                     std::function<void(std::shared_ptr<const turn_record>)> on_record) {
  const std::lock_guard lock{listeners_mutex_};
  listeners_.push_back({next_listener_, std::move(to), std::move(on_record)});
  return next_listener_++;
}

void fake_node::unsubscribe(std::uint64_t subscription) {
  const std::lock_guard lock{listeners_mutex_};
  std::erase_if(listeners_, [&](const listener& each) { return each.id == subscription; });
}

agent_state fake_node::state_of(const agent_name& name) const {
  auto state = load_agent(disk, group(name), name);
  REQUIRE(state);
  if (*state)
    return **state;
  agent_state fresh;
  fresh.name = name;
  return fresh;
}

std::shared_ptr<const turn_record> fake_node::write(const agent_name& name,
                                                    std::vector<fact> facts) {
  turn_record record;
  record.at = clock;
  record.agent = name;
  record.first_seq = state_of(name).seq + 1;
  record.facts = std::move(facts);
  const auto written = std::make_shared<const turn_record>(std::move(record));
  write_set out;
  machine.apply(disk, group(name), next_index_++, std::span{&written, 1}, out);
  REQUIRE(disk.write(out, true));
  return written;
}

seq_no fake_node::commit_silently(const agent_name& name, std::vector<fact> facts) {
  return write(name, std::move(facts))->first_seq;
}

seq_no fake_node::commit(const agent_name& name, std::vector<fact> facts) {
  const auto record = write(name, std::move(facts));
  std::vector<listener> told;
  {
    const std::lock_guard lock{listeners_mutex_};
    told = listeners_;
  }
  for (const auto& each : told)
    if (each.to == name)
      each.on_record(record);
  return record->first_seq;
}

void fake_node::commit_to(group_id group, std::vector<fact> facts) {
  turn_record record;
  record.at = clock;
  record.facts = std::move(facts);
  const auto written = std::make_shared<const turn_record>(std::move(record));
  write_set out;
  machine.apply(disk, group, next_index_++, std::span{&written, 1}, out);
  REQUIRE(disk.write(out, true));
}

void fake_node::define(const std::string& type, std::uint32_t versions) {
  auto& history = known->agents[type];
  for (std::uint32_t version = 1; version <= versions; ++version) {
    const std::string content =
      R"({"behaviour":"native","description":"d","kind":"agent","type":")" + type + "\"}";
    history.versions[version] = {"agent", type, version, content, "local"};
    history.applied_at[version] = test_time + version;
    history.current = version;
    write_set out;
    out.put(family::definitions, keys::definition("agent", type, version),
            codec::encode(history.versions[version], test_time));
    REQUIRE(disk.write(out, true));
  }
}

void fake_node::define_hook(const std::string& canonical_json) {
  const auto parsed = nlohmann::json::parse(canonical_json);
  const std::string source = parsed["source"];
  auto def = definition_from_json("hook", canonical_json);
  REQUIRE(def);
  auto compiled = compile(std::get<hook_definition>(*def), standard_compilers());
  REQUIRE(compiled);
  known->compiled_hooks[source] = *compiled;
  known->hooks[source].versions[1] = {"hook", source, 1, canonical_json, "local"};
  known->hooks[source].current = 1;
}

event_id event_no(const fake_node& node, const agent_name& name, std::uint64_t number) {
  return event_id{
    make_id(test_time + static_cast<time_us>(number), node.group(name), hash_of(name), number)};
}

run_id run_no(const fake_node& node, const agent_name& name, std::uint64_t number) {
  return run_id{event_no(node, name, number).id};
}

event_received received(const fake_node& node, const agent_name& name, std::uint64_t number,
                        std::string data) {
  event_received out;
  out.mailbox_no = node.state_of(name).mailbox_next;
  out.id = event_no(node, name, number);
  out.run = run_no(node, name, number);
  out.event.type = "ping";
  out.event.data = std::move(data);
  out.verified = "none";
  return out;
}

run_started started(const fake_node& node, const agent_name& name, std::uint64_t number,
                    seq_no event_seq) {
  run_started out;
  out.run = run_no(node, name, number);
  out.version = 1;
  out.mailbox_no = node.state_of(name).mailbox_head;
  out.event_seq = event_seq;
  out.event = event_no(node, name, number);
  out.message_base = 1;
  return out;
}

}  // namespace holdfast::testing
