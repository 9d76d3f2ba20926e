#include "tests/unit/runtime_core/agent_bench.hpp"

#include <nlohmann/json.hpp>

namespace holdfast::testing {

std::shared_ptr<const expression> giving(std::string json) {
  return std::make_shared<fake_expression>(
    [json = std::move(json)](std::string_view) -> result<std::string> { return json; });
}

std::shared_ptr<const expression> failing(std::string why) {
  return std::make_shared<fake_expression>(
    [why = std::move(why)](std::string_view) -> result<std::string> {
      return error{errc::schema, why};
    });
}

std::shared_ptr<const expression> data_member(std::string name) {
  return std::make_shared<fake_expression>(
    [name = std::move(name)](std::string_view json) -> result<std::string> {
      const auto document = nlohmann::json::parse(json);
      const auto& data = document["data"];
      return data.is_object() && data.contains(name) ? data[name].dump() : std::string{"null"};
    });
}

tool_definition tool(std::string name, effect_class cls, retry_policy retry) {
  tool_definition def;
  def.name = std::move(name);
  def.cls = cls;
  def.retry = retry;
  def.target = http_call{};
  return def;
}

void add_tool(compiled_agent& to, tool_definition def, std::string input_must) {
  compiled_tool compiled{std::move(def), nullptr, nullptr};
  if (!input_must.empty())
    compiled.input = std::make_shared<fake_validator>(std::move(input_must));
  to.def.tools.push_back(compiled.def);
  to.tools.push_back(std::move(compiled));
}

compiled_agent llm_agent(std::string type) {
  compiled_agent spec;
  spec.def.type = std::move(type);
  spec.def.version = 1;
  spec.def.behaviour = behaviour_kind::llm;
  spec.def.models = {"primary"};
  spec.input = giving(R"("hello")");
  add_tool(spec, tool("look", effect_class::read));
  add_tool(spec, tool("put", effect_class::idempotent));
  add_tool(spec, tool("pay", effect_class::write), "amount");
  tool_definition ask;
  ask.name = "research";
  ask.target = agent_call{"researcher"};
  add_tool(spec, std::move(ask));
  return spec;
}

compiled_agent native_agent(std::string type) {
  auto spec = llm_agent(std::move(type));
  spec.def.behaviour = behaviour_kind::native;
  return spec;
}

event event_of(std::string type, std::string data) {
  event e;
  e.type = std::move(type);
  e.data = std::move(data);
  return e;
}

model_reply says(std::string text) {
  model_reply reply;
  reply.text = std::move(text);
  reply.finish_reason = "stop";
  return reply;
}

model_reply calls(std::vector<tool_call> asked) {
  model_reply reply;
  reply.tool_calls = std::move(asked);
  reply.finish_reason = "tool_calls";
  return reply;
}

attempt_outcome succeeded(model_reply reply, std::uint64_t input_tokens,
                          std::uint64_t output_tokens, nano_usd cost) {
  attempt_outcome outcome;
  outcome.status = outcome_status::succeeded;
  outcome.reply = std::move(reply);
  outcome.used.input_tokens = input_tokens;
  outcome.used.output_tokens = output_tokens;
  outcome.used.cost = cost;
  outcome.used.model_calls = 1;
  return outcome;
}

attempt_outcome succeeded(std::string output) {
  attempt_outcome outcome;
  outcome.status = outcome_status::succeeded;
  outcome.output = std::move(output);
  return outcome;
}

attempt_outcome failed(failure_kind kind, std::string text) {
  attempt_outcome outcome;
  outcome.status = outcome_status::failed;
  outcome.failure_reason = kind;
  outcome.error = {"broken", std::move(text), 0, true};
  return outcome;
}

class agent_bench::records final : public agent_records {
public:
  explicit records(const agent_bench& of) : of_(of) {}

  result<fact> fact_at(seq_no seq) const override {
    const auto found = of_.journal.find(seq);
    if (found == of_.journal.end())
      return error{errc::corrupt, "no fact " + std::to_string(seq)};
    return found->second;
  }
  result<mailbox_entry> mailbox(std::uint64_t number) const override {
    const auto found = of_.mailbox.find(number);
    if (found == of_.mailbox.end())
      return error{errc::corrupt, "no mailbox entry " + std::to_string(number)};
    return found->second;
  }
  result<std::string> memory(seq_no seq) const override {
    const auto found = of_.journal.find(seq);
    if (found == of_.journal.end())
      return error{errc::corrupt, "no memory"};
    return std::get<state_changed>(found->second).memory;
  }
  result<std::vector<message>> messages(std::uint64_t first, std::uint64_t last) const override {
    std::vector<message> out;
    for (const auto& one : of_.all<message_appended>())
      if (one.no >= first && one.no < last)
        out.push_back(one.message);
    return out;
  }

private:
  const agent_bench& of_;
};

namespace {

agent_state addressed(const compiled_agent& spec, std::string key) {
  agent_state state;
  state.name = {spec.def.type, std::move(key)};
  return state;
}

}  // namespace

agent_bench::agent_bench(compiled_agent spec, std::string key)
  : core(addressed(spec, std::move(key))), records_(std::make_shared<records>(*this)) {
  context.now = t0;
  context.term = 1;
  context.group = 3;
  context.random = 7;
  context.behaviour_of = [this](const compiled_agent& one) -> const behaviour* {
    if (!has_behaviour)
      return nullptr;
    switch (one.def.behaviour) {
      case behaviour_kind::llm:
        return &llm;
      case behaviour_kind::native:
        return &native;
      case behaviour_kind::remote:
        return &own;
    }
    return nullptr;
  };
  context.price_of = [](std::string_view model) {  // nano-USD per million tokens
    return model == "backup" ? call_price{4'000'000, 0, 8'000'000}
                             : call_price{1'000'000, 0, 2'000'000};
  };
  context.jq = [](std::string_view program) -> result<std::shared_ptr<const expression>> {
    if (program == "yes")
      return giving("true");
    if (program == "no")
      return giving("false");
    if (program == "fails")
      return failing("it failed");
    return error{errc::schema, "not jq"};
  };
  define(std::move(spec));
}

void agent_bench::define(compiled_agent spec) {
  auto next = context.definitions ? std::make_shared<catalog>(*context.definitions)
                                  : std::make_shared<catalog>();
  ++next->index;
  const auto version = spec.def.version;
  auto& history = next->agents[spec.def.type];
  history.versions[version] = {"agent", spec.def.type, version, "{}", "ann"};
  history.current = version;
  auto& versions = next->compiled_agents[spec.def.type];
  versions[version] = std::make_shared<compiled_agent>(std::move(spec));
  context.definitions = std::move(next);
}

decided_turn agent_bench::propose(std::vector<command> commands) {
  std::vector<queued_command> queued;
  for (auto& one : commands)
    queued.push_back({std::move(one), {1, 1}, false, {}, {}});
  context.random += 1'000'003;
  context.now += 1;
  return core.take(std::move(queued), context, *records_);
}

void agent_bench::commit(const decided_turn& turn) {
  if (turn.record) {
    seq_no seq = turn.record->first_seq;
    for (const auto& f : turn.record->facts) {
      if (is_partition_fact(f))
        continue;
      if (const auto* received = std::get_if<event_received>(&f))
        mailbox[received->mailbox_no] = {received->mailbox_no, seq, received->id, received->run,
                                         turn.record->at};
      journal[seq++] = f;
    }
  }
  core.committed();
}

const decided_turn& agent_bench::turn(std::vector<command> commands) {
  last = propose(std::move(commands));
  agent_state expected = state();
  if (last.record)
    for (const auto& f : last.record->facts)
      if (!is_partition_fact(f))
        evolve(expected, f, last.record->at);
  commit(last);
  if (!expected.deleted)
    CHECK_MESSAGE(state() == expected, "the agent's state is not what its facts add up to");
  CHECK_MESSAGE(!is_stuck(state()), "the run has nothing that will ever move it");
  if (!is_idle(state()))
    CHECK_MESSAGE(!wake_causes(state()).empty(), "the agent waits for nothing that has a name");
  return last;
}

run_id agent_bench::deliver(event e) {
  deliver_event cmd;
  cmd.event = std::move(e);
  cmd.verified = "none";
  turn(std::move(cmd));
  return last.results.front().decided.run;
}

void agent_bench::fire(const timer_state& timer) {
  context.now = std::max(context.now, timer.due);
  turn(fire_timer{timer.id});
}

effect_state agent_bench::only_effect() const {
  REQUIRE(state().effects.size() == 1);
  return state().effects.front();
}

effect_state agent_bench::effect_named(const std::string& name) const {
  for (const auto& effect : state().effects)
    if (effect.name == name)
      return effect;
  FAIL("no open effect " << name);
  return {};
}

timer_state agent_bench::only_timer(timer_kind kind) const {
  std::vector<timer_state> found;
  for (const auto& timer : state().timers)
    if (timer.kind == kind)
      found.push_back(timer);
  REQUIRE(found.size() == 1);
  return found.front();
}

std::vector<wake_kind> agent_bench::causes() const {
  std::vector<wake_kind> out;
  for (const auto& cause : wake_causes(state()))
    out.push_back(cause.kind);
  return out;
}

std::vector<std::string> agent_bench::last_names() const {
  std::vector<std::string> out;
  if (last.record)
    for (const auto& f : last.record->facts)
      out.emplace_back(name_of(f));
  return out;
}

errc agent_bench::refusal() const {
  REQUIRE(last.results.size() == 1);
  return last.results.front().refused ? last.results.front().refused->code : errc::ok;
}

std::vector<std::string> agent_bench::conversation() const {
  std::vector<std::string> out;
  for (const auto& one : all<message_appended>())
    out.push_back(std::string{to_string(one.message.role)} + ": " + one.message.content);
  return out;
}

}  // namespace holdfast::testing
