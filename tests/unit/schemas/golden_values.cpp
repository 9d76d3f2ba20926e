#include "tests/unit/schemas/golden_values.hpp"

// Members that are not named keep their defaults, those of later versions too.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

namespace holdfast::test {

namespace {

constexpr time_us moment = 1'795'248'000'123'456;  // 2026-11-21T08:00:00.123456Z

run_id run_number(std::uint64_t number) { return {make_id(moment, 5, 0x9E3779B97F4A7C15, number)}; }
event_id event_number(std::uint64_t number) { return {run_number(number).id}; }
digest128 digest_number(std::uint8_t number) {
  digest128 out;
  for (std::uint8_t& byte : out.bytes)
    byte = number++;
  return out;
}

const agent_name recovery{"payment-recovery", "cus_42"};
const agent_name greeter{"greeter", "Zoë Ångström/2"};

event payment_failed() {
  return {.id = "evt_1N3f",
          .source = "stripe",
          .type = "payment.failed",
          .subject = "in_7",
          .time = "2026-11-21T08:00:00Z",
          .content_type = "application/json; charset=utf-8",
          .data = R"({"invoice":"in_7","amount":4200})",
          .traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"};
}

failure timed_out() {
  return {.code = "tool_failed",
          .message = "billing did not answer within 10s; see `holdfast why`",
          .effect_no = 3,
          .retryable = true};
}

usage some_usage() {
  return {.input_tokens = 1'000,
          .cached_input_tokens = 900,
          .output_tokens = 77,
          .cost = 1'234'567,
          .model_calls = 2,
          .tool_calls = 1};
}

reply_address asking_agent() { return {.agent = greeter, .run = run_number(9), .effect_no = 4}; }

model_reply asks_for_invoice() {
  return {.text = "Let me look.",
          .tool_calls = {{.id = "call_1", .name = "get_invoice", .arguments = R"({"id":"in_7"})"},
                         {.id = "call_2", .name = "get_customer", .arguments = "{not JSON"}},
          .finish_reason = "tool_calls",
          .model = "gpt-5-mini"};
}

effect_state unknown_effect() {
  return {.run = run_number(1),
          .no = 3,
          .kind = effect_kind::agent,
          .cls = effect_class::idempotent,
          .phase = effect_phase::unknown,
          .name = "charge",
          .seq = 41,
          .call_id = "call_1",
          .step = 2,
          .attempt = 5,
          .term = 12,
          .since = moment + 1,
          .timer_id = 6,
          .reserved_tokens = 2'000,
          .reserved_cost = 50'000'000,
          .streamed_bytes = 333,
          .last_error = "connection reset"};
}

open_run busy_run() {
  return {
    .id = run_number(1),
    .version = 3,
    .mailbox_no = 17,
    .event_seq = 38,
    .event = event_number(1),
    .retry_of = run_number(2),
    .started_at = moment,
    .steps = 4,
    .used = some_usage(),
    .reserved_tokens = 2'000,
    .reserved_cost = 50'000'000,
    .handler_failures = 1,
    .triggers_due = {38, 40, 300},
    .reply_to = asking_agent(),
    .message_base = 11,
    .message_bytes_base = 4'096,
    .calls = {{.call_id = "call_1", .tool = "charge", .effect_no = 3, .closed = true},
              {.call_id = "call_2", .tool = "nothing_like_it", .effect_no = 0, .closed = false}},
    .awaited =
      awaited_state{
        .type = "payment.settled", .where = ".data.ok", .timer_id = 7, .since = moment + 2},
    .cancel = cancel_requested{.run = run_number(1), .by = "ops", .reason = "wrong customer"},
    .emitted_bytes = 12,
    .output_retries = 1,
    .failed_effect = unknown_effect(),
    .traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"};
}

void add_facts_of_effects(std::vector<fact>& out) {
  out.push_back(model_requested{.effect_no = 3,
                                .step = 2,
                                .model = "primary",
                                .request_digest = digest_number(1),
                                .message_first = 11,
                                .message_last = 14,
                                .term = 12,
                                .options = R"({"temperature":0.5})"});
  out.push_back(model_completed{
    .effect_no = 3, .attempt = 1, .reply = asks_for_invoice(), .used = some_usage()});
  out.push_back(tool_requested{.effect_no = 4,
                               .step = 3,
                               .tool = "get_invoice",
                               .kind = effect_kind::tool,
                               .cls = effect_class::read,
                               .input = R"({"id":"in_7"})",
                               .request_digest = digest_number(2),
                               .call_id = "call_1",
                               .term = 12});
  out.push_back(tool_completed{
    .effect_no = 4, .attempt = 2, .tool = "get_invoice", .output = R"({"amount":4200})"});
  out.push_back(effect_started{.effect_no = 4, .attempt = 2, .term = 13});
  out.push_back(effect_failed{
    .effect_no = 4, .attempt = 2, .error = timed_out(), .final = true, .tool = "get_invoice"});
  out.push_back(
    effect_retry_scheduled{.effect_no = 4, .attempt = 3, .timer_id = 6, .due = moment + 1'000'000});
  out.push_back(effect_unknown{.effect_no = 4, .attempt = 3, .error = timed_out()});
  out.push_back(effect_reconciled{.effect_no = 4,
                                  .resolved = resolution::succeeded,
                                  .output = "true",
                                  .note = "seen in the ledger",
                                  .by = "ops",
                                  .tool = "charge"});
}

void add_facts_of_timers_and_messages(std::vector<fact>& out) {
  out.push_back(timer_set{.timer_id = 6,
                          .kind = timer_kind::retry,
                          .due = moment + 1'000'000,
                          .tag = "dunning",
                          .run = run_number(1),
                          .effect_no = 4});
  out.push_back(timer_fired{.timer_id = 6, .kind = timer_kind::wall, .tag = "dunning"});
  out.push_back(timer_cancelled{.timer_id = 6});
  out.push_back(
    message_sent{.target_group = 24, .sequence = 300, .message = golden_outbox_message()});
  out.push_back(state_changed{.memory = R"({"reminders":2})"});
  out.push_back(budget_reserved{.effect_no = 3, .tokens = 2'000, .cost = 50'000'000});
  out.push_back(budget_settled{.effect_no = 3, .tokens = 1'077, .cost = -1});
}

void add_facts_of_control(std::vector<fact>& out) {
  out.push_back(run_completed{.run = run_number(1), .output = R"({"ok":true})"});
  out.push_back(run_failed{.run = run_number(1), .error = timed_out()});
  out.push_back(run_cancelled{.run = run_number(1), .reason = "wrong customer"});
  out.push_back(paused{.by = "ops", .reason = "maintenance"});
  out.push_back(resumed{.by = "ops", .reason = "done"});
  out.push_back(quarantined{.by = "holdfast", .reason = "no wake cause"});
  out.push_back(killed{.by = "ops", .reason = "runaway"});
  out.push_back(golden_dead_letter().value);
  out.push_back(forked{.from = recovery, .at = 44});
  out.push_back(message_appended{
    .no = 12,
    .message = {.role = message_role::assistant,
                .content = "Let me look.",
                .tool_calls = {{.id = "call_1", .name = "get_invoice", .arguments = "{}"}},
                .tool_call_id = "call_0",
                .tool_name = "get_customer"}});
  out.push_back(text_streamed{.effect_no = 3, .attempt = 1, .offset = 128, .text = "Let me "});
  out.push_back(text_emitted{.run = run_number(1), .offset = 6, .text = "half a character: \xc3"});
  out.push_back(
    handler_failed{.run = run_number(1), .attempts = 2, .reason = "bad_alloc", .trigger = 38});
  out.push_back(awaiting_event{.type = "payment.settled", .where = ".data.ok", .timer_id = 7});
  out.push_back(awaited_event_received{.id = event_number(3), .event = payment_failed()});
  out.push_back(cancel_requested{.run = run_number(1), .by = "ops", .reason = "wrong customer"});
  out.push_back(effect_abandoned{.effect_no = 4});
  out.push_back(agent_deleted{.by = "ops"});
  out.push_back(
    tool_refused{.step = 3, .tool = "rm", .call_id = "call_2", .reason = "no such tool"});
}

void add_facts_of_partitions(std::vector<fact>& out) {
  out.push_back(leader_started{.term = 12, .node = "node-a"});
  out.push_back(golden_event_routed().value);
  out.push_back(golden_idempotency());
  out.push_back(outbox_acked{.target_group = 24, .sequence = 300});
  out.push_back(inbound_accepted{.source_group = 65'535, .sequence = 301});
  out.push_back(dead_letter_dropped{.id = event_number(3), .redriven = true});
  out.push_back(golden_definition().value);
}

}  // namespace

std::vector<fact> golden_facts() {
  std::vector<fact> out;
  out.push_back(event_received{.mailbox_no = 17,
                               .id = event_number(1),
                               .run = run_number(1),
                               .event = payment_failed(),
                               .verified = "hmac",
                               .reply_to = asking_agent()});
  out.push_back(run_started{.run = run_number(1),
                            .version = 3,
                            .mailbox_no = 17,
                            .event_seq = 38,
                            .event = event_number(1),
                            .reply_to = asking_agent(),
                            .traceparent = "00-4bf92f3577b34da6-01",
                            .retry_of = run_number(2),
                            .carried = true,
                            .message_base = 11});
  add_facts_of_effects(out);
  add_facts_of_timers_and_messages(out);
  add_facts_of_control(out);
  add_facts_of_partitions(out);
  out.push_back(handler_recovered{.trigger = 38});
  out.push_back(event_skipped{.mailbox_no = 18, .run = run_number(4)});
  out.push_back(output_refused{.run = run_number(1), .reason = "not what the schema allows"});
  out.push_back(golden_audited());
  out.push_back(node_added{.name = "n4", .address = "10.0.0.14:7071", .folder = "0123abcd"});
  out.push_back(node_removed{.name = "n2", .address = "10.0.0.12:7071", .folder = "4567cdef"});
  out.push_back(node_changed{
    .name = "n4", .address = "10.0.0.14:7071", .folder = "0123abcd", .roles = node_roles::gateway});
  out.push_back(cluster_changed{.replication = 3, .feature_level = 2});
  out.push_back(restored{.taken_at = moment, .reason = "restored from the backup of monday"});
  out.push_back(backup_cut{.epoch = 1'795'248'000'123'456});
  out.push_back(group_restored{.epoch = 1'795'248'000'123'456, .taken_at = moment});
  out.push_back(restore_finished{.epoch = 1'795'248'000'123'456});
  return out;
}

turn_record golden_record() {
  const auto facts = golden_facts();
  return {.at = moment,
          .catalog_index = 5,
          .agent = recovery,
          .first_seq = 38,
          .facts = {facts[0], facts[1], run_completed{.run = run_number(1), .output = "42"}}};
}

entry golden_entry() {
  const turn_record of_partition{
    .at = moment + 1, .catalog_index = 5, .facts = {leader_started{.term = 12, .node = "node-a"}}};
  return {.index = 1'000, .records = {golden_record(), of_partition}};
}

agent_state golden_agent_state() {
  return {.name = recovery,
          .seq = 44,
          .created_at = moment - 5'000'000,
          .updated_at = moment,
          .mailbox_next = 20,
          .mailbox_head = 18,
          .skipped = {run_number(4), run_number(5)},
          .run = busy_run(),
          .effects = {unknown_effect(), {.run = run_number(1), .no = 4}},
          .effect_next = 5,
          .timers = {{.id = 7,
                      .kind = timer_kind::handler,
                      .due = moment + 1,
                      .tag = "dunning",
                      .run = run_number(1),
                      .effect_no = 4}},
          .timer_next = 8,
          .message_next = 15,
          .message_bytes = 8'192,
          .conversation = digest_number(3),
          .memory_seq = 40,
          .paused = hold{.by = "ops", .reason = "maintenance", .since = moment},
          .quarantined = hold{.by = "holdfast", .reason = "no wake cause", .since = moment + 1},
          .used = some_usage(),
          .version = 3,
          .last_run = run_number(2),
          .last_failed = open_run{.id = run_number(2), .version = 2},
          .deleted = true};
}

partition_state golden_partition_state() {
  return {.term = 12,
          .applied = 1'000,
          .last_at = moment,
          .out_next = {{1, 5}, {24, 301}},
          .taken = {{2, {.watermark = 9, .beyond = {11, 300}}},
                    {65'535, {.watermark = 1, .beyond = {}}}}};
}

run_summary golden_run_summary() {
  return {.id = run_number(1),
          .agent = greeter,
          .version = 3,
          .status = run_status::cancelled,
          .event = event_number(1),
          .event_seq = 38,
          .started_seq = 39,
          .ended_seq = 44,
          .retry_of = run_number(2),
          .steps = 4,
          .used = some_usage(),
          .received_at = moment,
          .started_at = moment + 1,
          .ended_at = moment + 2};
}

mailbox_entry golden_mailbox_entry() {
  return {
    .no = 18, .event_seq = 39, .id = event_number(4), .run = run_number(4), .received_at = moment};
}

outbox_message golden_outbox_message() {
  return {.kind = outbox_kind::outcome,
          .source = recovery,
          .target = greeter,
          .event = payment_failed(),
          .event_ref = event_number(1),
          .run = run_number(6),
          .verified = "none",
          .reply_to = asking_agent(),
          .outcome = {.status = outcome_status::succeeded,
                      .failure_reason = failure_kind::throttled,
                      .error = timed_out(),
                      .output = R"({"ok":true})",
                      .reply = asks_for_invoice(),
                      .used = some_usage(),
                      .retry_after_ms = 1'500},
          .fork_at = 44,
          .payload = std::string("\x01\x00\xff", 3)};
}

idempotency_recorded golden_idempotency() {
  return {.scope = digest_number(4),
          .body = digest_number(5),
          .id = event_number(1),
          .run = run_number(1),
          .agent = recovery,
          .expires = moment + 604'800'000'000};
}

codec::forked_agent golden_forked_agent() {
  return {.state = {.name = greeter, .seq = 44, .effects = {unknown_effect()}},
          .messages = {{.role = message_role::user, .content = "hello"},
                       {.role = message_role::tool,
                        .content = "42",
                        .tool_call_id = "call_1",
                        .tool_name = "get_invoice"}},
          .memory = R"({"reminders":2})"};
}

codec::stamped<event_routed> golden_event_routed() {
  return {.at = moment,
          .value = {
            .id = event_number(3),
            .event = payment_failed(),
            .verified = "hmac",
            .routes = {
              {.type = "payment-recovery", .key = "cus_42", .matched = true, .run = run_number(7)},
              {.type = "greeter", .reason = "`where` is false"}}}};
}

codec::stamped<dead_lettered> golden_dead_letter() {
  return {.at = moment,
          .value = {.id = event_number(3),
                    .run = run_number(3),
                    .agent = {.type = "greeter", .key = ""},
                    .reason = "the key is null",
                    .event = payment_failed(),
                    .verified = "hmac"}};
}

codec::stamped<definition_applied> golden_definition() {
  return {.at = moment,
          .value = {.kind = "agent",
                    .name = "payment-recovery",
                    .version = 3,
                    .content = R"({"agent":"payment-recovery"})",
                    .by = "ops"}};
}

audit_recorded golden_audited() {
  return {.by = "ops",
          .method = "POST",
          .route = "/v1/agents/{type}/{key}/pause",
          .subject = "payment-recovery/cus_42",
          .request_id = "req_0abc",
          .peer = "127.0.0.1",
          .outcome = "done"};
}

cluster_settings golden_settings() { return {.replication = 3, .feature_level = 2}; }

node_record golden_node_record() {
  return {
    .name = "n2", .address = "10.0.0.12:7071", .folder = "4567cdef", .removed = true, .at = moment};
}

audit_entry golden_audit_entry() {
  return {.number = 2,
          .at = moment,
          .what = golden_audited(),
          .previous = std::string(32, '\x01'),
          .hash = std::string(32, '\xfe')};
}

audit_head golden_audit_head() {
  return {.number = 2, .at = moment, .hash = std::string(32, '\xfe')};
}

agent_state golden_restored_agent_state() {
  auto out = golden_agent_state();
  out.paused->restored_from = moment - 1;
  out.held_timers = std::move(out.timers);
  out.timers.clear();
  return out;
}

partition_state golden_restored_partition_state() {
  auto out = golden_partition_state();
  out.backup_epoch = 1'795'248'000'123'456;
  out.restored_from = moment;
  out.restoring = true;
  out.restored_next = {{1, 4}, {24, 301}};
  return out;
}

event_received golden_received_by_key() {
  return {.mailbox_no = 1,
          .id = event_number(1),
          .run = run_number(1),
          .event = payment_failed(),
          .verified = "none",
          .by = "ci"};
}

}  // namespace holdfast::test
