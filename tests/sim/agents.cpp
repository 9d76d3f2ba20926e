#include "tests/sim/agents.hpp"

#include <nlohmann/json.hpp>

#include <stdexcept>

#include "runtime/core/run_steps.hpp"

namespace holdfast::sim {

namespace {

/// The string member NAME of a document's data, as jq `.data.NAME`.
class member_expression final : public expression {
public:
  explicit member_expression(std::string_view name) : mark_("\"" + std::string{name} + "\":\"") {}
  result<std::string> evaluate(std::string_view json) const override {
    const auto at = json.find(mark_);
    if (at == std::string_view::npos)
      return std::string{"null"};
    const auto begin = at + mark_.size();
    return "\"" + std::string{json.substr(begin, json.find('"', begin) - begin)} + "\"";
  }

private:
  std::string mark_;
};

class constant_expression final : public expression {
public:
  explicit constant_expression(std::string value) : value_(std::move(value)) {}
  result<std::string> evaluate(std::string_view) const override {
    if (value_ == "fails")
      return error{errc::schema, "it fails"};
    return value_;
  }

private:
  std::string value_;
};

/// Accepts what holds a word.
class word_validator final : public json_validator {
public:
  explicit word_validator(std::string word) : word_(std::move(word)) {}
  status validate(std::string_view json) const override {
    if (json.find(word_) == std::string_view::npos)
      return error{errc::schema, "/: expected " + word_};
    return ok_status();
  }

private:
  std::string word_;
};

void add_tool(compiled_agent& to, const char* name, effect_class cls, std::uint32_t attempts) {
  compiled_tool tool;
  tool.def.name = name;
  tool.def.cls = cls;
  tool.def.target = http_call{};
  tool.def.retry = {attempts, 1'000, 10'000};
  tool.input = std::make_shared<word_validator>("good");
  to.def.tools.push_back(tool.def);
  to.tools.push_back(std::move(tool));
}

void add_trigger(compiled_agent& to, const char* type, std::shared_ptr<const expression> where,
                 std::shared_ptr<const expression> key) {
  compiled_trigger trigger;
  trigger.def.event = type;
  trigger.where = std::move(where);
  trigger.key = std::move(key);
  to.def.triggers.push_back(trigger.def);
  to.triggers.push_back(std::move(trigger));
}

compiled_agent agent_with_tools(const char* type, behaviour_kind kind) {
  compiled_agent spec;
  spec.def.type = type;
  spec.def.version = 1;
  spec.def.behaviour = kind;
  spec.def.models = {"primary"};
  spec.def.output_tokens_max = 100;
  spec.def.limits.mailbox = 6;
  spec.def.limits.steps = 12;
  add_tool(spec, "look", effect_class::read, 3);
  add_tool(spec, "put", effect_class::idempotent, 5);
  add_tool(spec, "pay", effect_class::write, 4);
  return spec;
}

void add_agent_tool(compiled_agent& to) {
  compiled_tool tool;
  tool.def.name = "research";
  tool.def.target = agent_call{"helper"};
  to.def.tools.push_back(tool.def);
  to.tools.push_back(std::move(tool));
}

compiled_agent built_in(const char* type) {
  compiled_agent spec;
  spec.def.type = type;
  spec.def.version = 1;
  spec.def.behaviour = behaviour_kind::native;
  spec.def.limits.steps = 0;
  return spec;
}

compiled_agent llm(std::uint32_t version) {
  auto spec = agent_with_tools("llm", behaviour_kind::llm);
  spec.def.version = version;
  spec.def.models = version % 2 == 0 ? std::vector<std::string>{"primary", "backup"}
                                     : std::vector<std::string>{"primary"};
  spec.def.instructions = std::string(50 * version, 'i');
  spec.def.limits.tokens = 4'000;
  add_agent_tool(spec);
  add_trigger(spec, "job.*", std::make_shared<constant_expression>("true"),
              std::make_shared<member_expression>("k"));
  return spec;
}

compiled_agent strict() {
  auto spec = agent_with_tools("strict", behaviour_kind::llm);
  spec.def.busy = busy_policy::reject;
  spec.def.memory.scope = memory_scope::run;
  spec.def.limits.wall_ms = 20'000;
  spec.def.limits.cost = 3'000;
  spec.output = std::make_shared<word_validator>("good");
  add_trigger(spec, "job.strict", std::make_shared<constant_expression>("true"),
              std::make_shared<member_expression>("k"));
  return spec;
}

compiled_agent helper() {
  auto spec = agent_with_tools("helper", behaviour_kind::llm);
  spec.def.limits.tokens = 700;
  return spec;
}

compiled_agent planned(const char* type) {
  auto spec = agent_with_tools(type, behaviour_kind::native);
  spec.def.limits.tokens = 600;
  spec.def.handler_attempts = 3;
  add_agent_tool(spec);
  return spec;
}

}  // namespace

std::shared_ptr<const catalog> make_catalog(std::uint32_t llm_versions) {
  auto out = std::make_shared<catalog>();
  out->index = llm_versions;
  const auto add = [&](compiled_agent spec) {
    const auto version = spec.def.version;
    auto& history = out->agents[spec.def.type];
    history.versions[version] = {"agent", spec.def.type, version, "{}", "sim"};
    history.current = version;
    auto& versions = out->compiled_agents[spec.def.type];
    versions[version] = std::make_shared<compiled_agent>(std::move(spec));
  };
  auto echo = built_in("echo");
  add_trigger(echo, "ping", nullptr, std::make_shared<member_expression>("k"));
  add_trigger(echo, "job.*", std::make_shared<constant_expression>("fails"), nullptr);
  add_trigger(echo, "ping.alone", nullptr, nullptr);
  add(std::move(echo));
  add(built_in("loop"));
  for (std::uint32_t version = 1; version <= llm_versions; ++version)
    add(llm(version));
  add(strict());
  add(helper());
  auto plan = planned("plan");
  add_trigger(plan, "job.keyless", nullptr, std::make_shared<constant_expression>("null"));
  add_trigger(plan, "job.plan", nullptr, std::make_shared<member_expression>("k"));
  add(std::move(plan));
  add(planned("fragile"));
  add(planned("bomb"));
  return out;
}

call_price price_of(std::string_view model) {
  return model == "backup" ? call_price{3'000'000, 0, 6'000'000}
                           : call_price{1'000'000, 0, 2'000'000};
}

result<std::shared_ptr<const expression>> compile_where(std::string_view program) {
  if (program == "yes")
    return std::shared_ptr<const expression>{std::make_shared<constant_expression>("true")};
  if (program == "no")
    return std::shared_ptr<const expression>{std::make_shared<constant_expression>("false")};
  if (program == "fails")
    return std::shared_ptr<const expression>{std::make_shared<constant_expression>("fails")};
  return error{errc::schema, "not jq"};
}

const behaviour* behaviours::of(const compiled_agent& spec) const {
  if (spec.def.behaviour == behaviour_kind::llm)
    return &llm_;
  if (spec.def.type == "echo")
    return &echo_;
  if (spec.def.type == "loop")
    return &loop_;
  return &plan_;
}

// ---- plans --------------------------------------------------------------------------------------

namespace {

using nlohmann::json;

/// The value of a string member, found without parsing.
std::string member_of(const std::string& text, const char* name) {
  const auto quoted = member_expression{name}.evaluate(text);
  return quoted && quoted->size() > 2 ? quoted->substr(1, quoted->size() - 2) : std::string{};
}

event planned_event(const char* type, const std::string& plan) {
  event e;
  e.type = type;
  e.data = R"({"plan":")" + plan + R"("})";
  return e;
}

/// Does one operation. False: the run is over.
bool perform(turn_builder& turn, const compiled_agent& spec, const std::string& op) {
  const auto tool = [&](const char* name) {
    return request_tool(turn, spec,
                        {name, effect_kind::tool, spec.tool(name)->def.cls, R"({"good":1})", {}}) !=
           0;
  };
  const std::int64_t number = op.size() > 1 ? std::stoll(op.substr(1)) : 0;
  switch (op[0]) {
    case 'r':
      return tool("look");
    case 'i':
      return tool("put");
    case 'w':
      return tool("pay");
    case 'm':
      return request_model(turn, spec, R"({"messages":[]})", 30) != 0;
    case 'h': {
      const agent_name target{"helper", to_text(turn.state().run->id.id)};
      return request_agent(turn, spec,
                           {target, planned_event("holdfast.ask", ""), "research", {}}) != 0;
    }
    case 'A': {
      const agent_name target{"plan", "asked" + std::to_string(number)};
      return request_agent(turn, spec,
                           {target, planned_event("ask", "z20,e;r"), to_string(target), {}}) != 0;
    }
    case 'Q': {
      const agent_name target{"strict", "asked" + std::to_string(number)};
      return request_agent(turn, spec, {target, planned_event("ask", ""), to_string(target), {}}) !=
             0;
    }
    case 'S':
      send_event(turn, {"echo", "e" + std::to_string(number)}, planned_event("sent", ""));
      return true;
    case 'e':
      turn.add(text_emitted{turn.state().run->id, turn.state().run->emitted_bytes, "text"});
      return true;
    case 'z':
      turn.set_timer(timer_kind::sleep, turn.now() + number * 1'000, "nap");
      return true;
    case 'W':
    case 'n': {
      std::uint64_t timer = 0;
      if (number > 0)
        timer = turn.set_timer(timer_kind::wait, turn.now() + number * 1'000, "wait_for");
      turn.add(awaiting_event{"wake", op[0] == 'W' ? "yes" : "no", timer});
      return true;
    }
    case 'f':
      fail_run(turn, {"agent_failed", "as planned", 0, true});
      return false;
    case 'c':
      complete_run(turn, "1");
      return false;
    default:
      return true;  // x, k
  }
}

/// The first stage, taken off the plan.
std::string next_stage(std::string& plan) {
  const auto end = plan.find(';');
  std::string stage = plan.substr(0, end);
  plan = end == std::string::npos ? std::string{} : plan.substr(end + 1);
  return stage;
}

}  // namespace

void plan_behaviour::on_trigger(turn_builder& turn, const compiled_agent& spec,
                                const trigger& t) const {
  auto stored = turn.memory();
  if (!stored)
    throw std::runtime_error("the memory cannot be read");
  auto memory = json::parse(*stored);
  std::string plan = memory.value("plan", std::string{});
  if (t.what == trigger::kind::start || t.what == trigger::kind::retry) {
    plan = member_of(t.arrived.data, "plan");
    memory["runs"] = memory.value("runs", std::string{}) + to_text(turn.state().run->id.id) + " ";
  }
  if (spec.def.type == "bomb" && plan.find('x') != std::string::npos)
    world_.exploded = true;
  std::string stage;
  if (t.what != trigger::kind::cancel)
    stage = next_stage(plan);
  else if (plan.find('k') != std::string::npos)
    stage = "i";
  else
    return;
  const bool last = stage.empty() && plan.empty();
  memory["plan"] = plan;
  turn.add(state_changed{memory.dump()});
  for (std::size_t at = 0; at < stage.size();) {
    const auto end = std::min(stage.find(',', at), stage.size());
    if (!perform(turn, spec, stage.substr(at, end - at)))
      return;
    at = end + 1;
  }
  if (spec.def.type == "fragile" && world_.throws())
    throw std::runtime_error("fragile");
  if (last)
    complete_run(turn, R"("planned")");
}

std::string make_plan(random_source& random, bool may_fail) {
  static const std::vector<std::string> waits{"r",    "r",      "i",  "i",     "w",    "w",
                                              "m",    "h",      "A1", "A2",    "Q1",   "z50",
                                              "z900", "z30000", "W0", "W3000", "n2000"};
  static const std::vector<std::string> extras{"e", "e", "S1", "S2", "r", "w", "m", "z100", "k"};
  std::string plan;
  const auto stages = random.below(5);
  for (std::uint64_t i = 0; i < stages; ++i) {
    plan += random.pick(waits);
    while (random.chance(350))
      plan += "," + random.pick(extras);
    plan += ";";
  }
  if (may_fail && random.chance(150))
    plan += random.chance(300) ? "x" : "f";
  else if (random.chance(200))
    plan += "c";
  return plan;
}

}  // namespace holdfast::sim
