// The public interface, on one side of the bridge.

#include "runtime/native/holdfast/agent.hpp"

#include <map>
#include <mutex>
#include <stdexcept>

#include "runtime/native/bridge.hpp"

namespace holdfast {
inline namespace api {

struct turn::impl {
  const native::handler_call& call;
  native::handler_result& result;
  bool memory_read = false;
  json memory;
  std::uint64_t random = 0;
  std::uint32_t effect_next = 1;
  bool ended = false;

  void ask_for(native::request request) {
    if (ended)
      throw std::logic_error("the handler already ended the run");
    ended = request.what == native::request::kind::complete ||
            request.what == native::request::kind::fail;
    result.requests.push_back(std::move(request));
  }
};

namespace {

using kind = native::request::kind;

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

struct registry {
  std::mutex mutex;
  std::map<std::string, std::function<std::unique_ptr<agent>()>, std::less<>> types;
  static registry& get() {
    static registry one;
    return one;
  }
};

}  // namespace

const json& event::data() const {
  if (!parsed_) {
    auto value = raw_.empty() ? json(nullptr) : json::parse(raw_, nullptr, false);
    parsed_ = std::make_shared<const json>(value.is_discarded() ? json(raw_) : std::move(value));
  }
  return *parsed_;
}

event event::from_raw(std::string bytes) {
  event e;
  e.raw_ = std::move(bytes);
  return e;
}

json& turn::memory() {
  if (!impl_.memory_read) {
    impl_.memory = json::parse(impl_.call.memory);
    impl_.memory_read = true;
  }
  return impl_.memory;
}

std::uint32_t turn::call(std::string tool, json input) {
  std::string text = dump(input);
  impl_.call.check_tool(tool, text);
  impl_.ask_for({kind::call, std::move(tool), std::move(text), {}, 0});
  return impl_.effect_next++;
}

std::uint32_t turn::model(json messages, json options) {
  if (!messages.is_array() || !options.is_object())
    throw std::invalid_argument("model: messages are a JSON array, options a JSON object");
  options["messages"] = std::move(messages);
  impl_.ask_for({kind::model, {}, {}, dump(options), 0});
  return impl_.effect_next++;
}

void turn::send(std::string_view agent, event what) {
  impl_.ask_for({kind::send, std::string{agent}, what.raw(), what.type, 0});
}

std::uint32_t turn::ask(std::string_view agent, event what) {
  impl_.ask_for({kind::ask, std::string{agent}, what.raw(), what.type, 0});
  return impl_.effect_next++;
}

void turn::sleep(std::chrono::milliseconds duration, std::string tag) {
  impl_.ask_for({kind::sleep, std::move(tag), {}, {}, duration.count()});
}

void turn::wait_for(std::string event_type, std::string where, std::chrono::milliseconds timeout) {
  impl_.ask_for({kind::wait_for, std::move(event_type), {}, std::move(where), timeout.count()});
}

void turn::emit(std::string text) { impl_.ask_for({kind::emit, {}, std::move(text), {}, 0}); }

void turn::complete(json result) { impl_.ask_for({kind::complete, {}, dump(result), {}, 0}); }

void turn::fail(std::string error) { impl_.ask_for({kind::fail, {}, std::move(error), {}, 0}); }

std::chrono::sys_time<std::chrono::microseconds> turn::now() const noexcept {
  return std::chrono::sys_time<std::chrono::microseconds>{
    std::chrono::microseconds{impl_.call.now_us}};
}

std::uint64_t turn::random() noexcept {  // splitmix64 (Steele, Lea, Flood 2014)
  std::uint64_t z = impl_.random += 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

void turn::log(std::string_view text) const { impl_.call.log(text); }

const std::string& turn::agent() const noexcept { return impl_.call.agent; }

void agent::on_outcome(turn& t, const outcome& o) {
  if (o.status == outcome_kind::succeeded)
    t.complete(o.result);
  else
    t.fail(o.error);
}

void agent::on_timer(turn&, std::string_view tag) {
  throw std::logic_error("no on_timer for `" + std::string{tag} + "`");
}

void agent::on_cancel(turn&) {}

void register_agent(std::string type, std::function<std::unique_ptr<agent>()> make) {
  const bool valid =
    !type.empty() && type.size() <= 63 && type.front() >= 'a' && type.front() <= 'z' &&
    type.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
  if (!valid)
    throw std::invalid_argument(
      "an agent type is 1 to 63 of a-z, 0-9 and '-', and starts with a letter: " + type);
  auto& known = registry::get();
  const std::lock_guard lock{known.mutex};
  if (!known.types.emplace(std::move(type), std::move(make)).second)
    throw std::invalid_argument("an agent type is registered twice");
}

}  // namespace api

namespace native {

namespace {

std::function<std::unique_ptr<api::agent>()> find(std::string_view type) {
  auto& known = api::registry::get();
  const std::lock_guard lock{known.mutex};
  const auto found = known.types.find(type);
  if (found == known.types.end())
    throw std::out_of_range("no native agent is registered as " + std::string{type});
  return found->second;
}

api::event event_of(const handler_call& call) {
  auto e = api::event::from_raw(call.event_data);
  e.id = call.event_id;
  e.source = call.event_source;
  e.type = call.event_type;
  e.subject = call.event_subject;
  e.time = call.event_time;
  return e;
}

api::outcome outcome_of(const handler_call& call) {
  api::outcome o;
  o.effect = call.effect;
  o.tool = call.tool;
  o.status = static_cast<api::outcome_kind>(call.status);
  if (o.status == api::outcome_kind::succeeded) {
    auto value = api::json::parse(call.result, nullptr, false);
    o.result = value.is_discarded() ? api::json(call.result) : std::move(value);
  }
  o.error = call.error;
  return o;
}

}  // namespace

handler_result call_handler(std::string_view type, const handler_call& call) {
  const auto one = find(type)();
  handler_result result;
  api::turn::impl inside{call, result, false, {}, call.random, call.effect_next, false};
  api::turn t{inside};
  switch (call.what) {
    case handler_call::kind::event:
      one->on_event(t, event_of(call));
      break;
    case handler_call::kind::outcome:
      one->on_outcome(t, outcome_of(call));
      break;
    case handler_call::kind::timer:
      one->on_timer(t, call.tag);
      break;
    case handler_call::kind::cancel:
      one->on_cancel(t);
      break;
  }
  if (inside.memory_read) {
    if (!inside.memory.is_object())
      throw std::invalid_argument("memory must stay a JSON object");
    result.memory = api::dump(inside.memory);
    result.memory_changed = result.memory != call.memory;
  }
  return result;
}

bool is_registered(std::string_view type) {
  auto& known = api::registry::get();
  const std::lock_guard lock{known.mutex};
  return known.types.contains(type);
}

std::vector<std::string> registered_types() {
  auto& known = api::registry::get();
  const std::lock_guard lock{known.mutex};
  std::vector<std::string> out;
  for (const auto& [type, make] : known.types)
    out.push_back(type);
  return out;
}

}  // namespace native
}  // namespace holdfast
