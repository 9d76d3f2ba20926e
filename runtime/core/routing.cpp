#include "runtime/core/routing.hpp"

#include <nlohmann/json.hpp>

#include "runtime/core/run_steps.hpp"

namespace holdfast {

bool matches_type(std::string_view pattern, std::string_view type) noexcept {
  if (pattern.ends_with(".*")) {
    const auto prefix = pattern.substr(0, pattern.size() - 1);
    return type.size() > prefix.size() && type.starts_with(prefix);
  }
  return pattern == type;
}

namespace {

constexpr std::uint64_t home_mark =
  0xC000;  // away from the numbers that agents give to their own runs

/// The key as text: a string as it is, a number or a boolean as JSON writes it. Else the reason.
result<std::string> key_from(const std::string& json_text) {
  const auto value = nlohmann::json::parse(json_text, nullptr, false);
  if (value.is_string())
    return value.get<std::string>();
  if (value.is_number() || value.is_boolean())
    return value.dump();
  return error{errc::invalid_key, value.is_null()
                                    ? "`key` gave null"
                                    : "`key` gave something that is not a single value"};
}

}  // namespace

routing find_routes(const catalog& definitions, const event& e, const event_id& id,
                    std::string_view verified, std::uint16_t partitions) {
  routing out;
  std::string document;
  for (const auto& [type, history] : definitions.agents) {
    const auto spec = definitions.agent(type, history.current);
    if (!spec)
      continue;
    for (const auto& trigger : spec->triggers) {
      if (!matches_type(trigger.def.event, e.type))
        continue;
      if (document.empty())
        document = event_document(e);
      route found;
      found.type = type;
      if (trigger.where) {
        const auto answer = trigger.where->evaluate(document);
        if (!answer || !is_true(*answer)) {
          found.reason =
            answer ? "`where` is not true" : "`where` failed: " + answer.error().context;
          out.routes.push_back(std::move(found));
          continue;
        }
      }
      result<std::string> key = to_text(id.id);
      if (trigger.key) {
        const auto answer = trigger.key->evaluate(document);
        key = answer ? key_from(*answer) : result<std::string>{answer.error()};
        if (key)
          if (auto valid = check_key(*key); !valid)
            key = valid.error();
      }
      if (!key) {
        found.reason = key.error().context;
        out.unroutable.push_back(
          {event_id{make_id(id.id.time(), id.id.group(), hash_of({type, {}}), id.id.owner())},
           {},
           {type, {}},
           "no key for " + type + ": " + key.error().context,
           e,
           std::string{verified}});
        out.routes.push_back(std::move(found));
        continue;
      }
      const agent_name target{type, std::move(*key)};
      bool taken = false;  // two triggers of one type with one key are one delivery
      for (const auto& other : out.routes)
        taken = taken || (other.matched && other.type == target.type && other.key == target.key);
      if (taken)
        continue;
      found.key = target.key;
      found.matched = true;
      found.run = routed_run(id, target, partitions);
      out.routes.push_back(std::move(found));
    }
  }
  return out;
}

run_id routed_run(const event_id& id, const agent_name& target, std::uint16_t partitions) {
  return run_id{make_id(id.id.time(), group_of(target, partitions), hash_of(target),
                        home_mark + id.id.group())};
}

group_id home_of(const run_id& run, std::uint16_t partitions) noexcept {
  const auto home = run.id.number() - home_mark;
  return run.id.number() > home_mark && home <= partitions ? static_cast<group_id>(home)
                                                           : group_id{0};
}

}  // namespace holdfast
