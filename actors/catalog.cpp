#include "actors/catalog.hpp"

#include "actors/instrumented.hpp"
#include "persistence/keys.hpp"
#include "runtime/definition/definition_parser.hpp"
#include "schemas/codec.hpp"

namespace holdfast {

namespace {

/// Keeps what was applied. The same again does not make the catalogue any newer.
void keep(catalog& into, definition_history& history, const definition_applied& applied,
          time_us at) {
  const bool added = history.versions.insert_or_assign(applied.version, applied).second;
  history.applied_at[applied.version] = at;
  history.current = applied.version;
  into.index += added ? 1U : 0U;
}

/// Takes one applied definition into a catalogue in the making.
status take(catalog& into, const definition_applied& applied, time_us at, const compilers& with) {
  auto parsed = definition_from_json(applied.kind, applied.content);
  if (!parsed)
    return error{errc::corrupt, applied.kind + "/" + applied.name + ": " + parsed.error().context};
  if (auto* agent = std::get_if<agent_definition>(&*parsed)) {
    agent->version = applied.version;
    auto compiled = compile(std::move(*agent), with);
    if (!compiled)
      return compiled.error();
    into.compiled_agents[applied.name][applied.version] = std::move(*compiled);
    keep(into, into.agents[applied.name], applied, at);
    return ok_status();
  }
  auto hook = std::get<hook_definition>(std::move(*parsed));
  hook.version = applied.version;
  auto compiled = compile(std::move(hook), with);
  if (!compiled)
    return compiled.error();
  into.compiled_hooks[applied.name] = std::move(*compiled);
  keep(into, into.hooks[applied.name], applied, at);
  return ok_status();
}

/// `echo` and `loop` need no file.
void add_built_in(catalog& into) {
  for (const char* type : {"echo", "loop"}) {
    if (into.agents.contains(type))
      continue;
    auto built = std::make_shared<compiled_agent>();
    built->def.type = type;
    built->def.version = 1;
    built->def.description = "built in";
    built->def.behaviour = behaviour_kind::native;
    built->def.limits.steps = 0;
    built->def.limits.mailbox = 100'000;
    definition_applied applied{
      "agent", type, 1,
      std::string{"{\"behaviour\":\"native\",\"kind\":\"agent\",\"type\":\""} + type + "\"}",
      "holdfast"};
    auto& history = into.agents[type];
    history.versions[1] = std::move(applied);
    history.applied_at[1] = 0;
    history.current = 1;
    into.compiled_agents[type][1] = std::move(built);
  }
}

const definition_history* history_of(const catalog& in, const definition_applied& what) {
  const auto& all = what.kind == "hook" ? in.hooks : in.agents;
  const auto found = all.find(what.name);
  return found == all.end() ? nullptr : &found->second;
}

}  // namespace

result<std::shared_ptr<const catalog>> load_catalog(const reader& from, const compilers& with) {
  auto out = std::make_shared<catalog>();
  const auto range = keys::definitions();
  auto at = from.scan(family::definitions, range.lower, range.upper);
  for (; at->valid(); at->next()) {
    auto stored = codec::decode_definition(at->value());
    if (!stored)
      return stored.error();
    if (auto taken = take(*out, stored->value, stored->at, with); !taken)
      return taken.error();
  }
  if (auto walked = at->state(); !walked)
    return walked.error();
  add_built_in(*out);
  return std::shared_ptr<const catalog>{std::move(out)};
}

definitions_done plan_definitions(const catalog& now, std::vector<definition_applied>& wanted) {
  definitions_done done;
  for (auto& one : wanted) {
    definition_change change;
    change.kind = one.kind;
    change.name = one.name;
    change.after = one.content;
    change.change = definition_change::what::created;
    one.version = 1;
    if (const auto* history = history_of(now, one)) {
      const auto& current = history->versions.at(history->current);
      change.before = current.content;
      change.change = current.content == one.content ? definition_change::what::unchanged
                                                     : definition_change::what::updated;
      one.version = change.change == definition_change::what::unchanged
                      ? history->current
                      : history->versions.rbegin()->first + 1;
    }
    change.version = one.version;
    done.changes.push_back(std::move(change));
  }
  return done;
}

namespace {

/// Group 0 on its leader. One change at a time; others wait their turn in the mailbox.
struct catalog_state {
  static inline constexpr const char* name = "holdfast.catalog";

  services_ptr services;
  std::uint64_t term = 0;
  std::shared_ptr<const turn_record> in_flight;
  definitions_done then;
  request_ref from;
  std::vector<definition_request> waiting;
  std::map<const turn_record*, request_ref> audits;  ///< on their way; any number at once
  std::uint64_t cut_proposed = 0;
  std::shared_ptr<const turn_record> member_in_flight;
  std::optional<request_ref> member_from;
  std::vector<member_request> members_waiting;

  /// All that earlier terms have committed is applied, but may not be in the view yet.
  void load() {
    if (auto known = load_catalog(*services->records, services->compile_with))
      services->definitions->set(std::move(*known));
  }

  void audit(audit_request request) {
    auto record = std::make_shared<turn_record>();
    record->at = services->now();
    record->catalog_index = services->definitions->get()->index;
    record->facts.push_back(std::move(request.what));
    if (auto proposed = services->log->propose(catalog_group, term, record); !proposed) {
      services->tell(request.from, proposed.error());
      return;
    }
    audits.emplace(record.get(), request.from);
  }

  /// Asked for again until it is there: so nothing is kept of one that the log had no room for.
  void cut(std::uint64_t epoch) {
    if (epoch <= cut_proposed)
      return;
    auto record = std::make_shared<turn_record>();
    record->at = services->now();
    record->catalog_index = services->definitions->get()->index;
    record->facts.push_back(backup_cut{epoch});
    if (services->log->propose(catalog_group, term, std::move(record)))
      cut_proposed = epoch;
  }

  void apply(definition_request request) {
    if (in_flight) {
      waiting.push_back(std::move(request));
      return;
    }
    const auto now = services->definitions->get();
    auto planned = plan_definitions(*now, request.wanted);
    auto record = std::make_shared<turn_record>();
    record->at = services->now();
    record->catalog_index = now->index;
    for (std::size_t i = 0; i < request.wanted.size(); ++i)
      if (planned.changes[i].change != definition_change::what::unchanged)
        record->facts.push_back(std::move(request.wanted[i]));
    if (!request.dry_run && request.audit)
      record->facts.push_back(*request.audit);
    if (request.dry_run || record->facts.empty()) {
      services->tell(request.from, std::move(planned));
      return;
    }
    if (auto proposed = services->log->propose(catalog_group, term, record); !proposed) {
      services->tell(request.from, proposed.error());
      return;
    }
    in_flight = std::move(record);
    then = std::move(planned);
    from = request.from;
  }

  void answer_member(const std::optional<request_ref>& to, answer what) const {
    if (to)
      services->tell(*to, std::move(what));
  }

  /// Decided on what is applied: so one at a time.
  void change_member(member_request request) {
    if (member_in_flight) {
      members_waiting.push_back(std::move(request));
      return;
    }
    const auto now = load_cluster_state(*services->records);
    if (!now)
      return answer_member(request.from, now.error());
    auto facts = decide(*now, request.wanted);
    if (!facts)
      return answer_member(request.from, facts.error());
    if (facts->empty())
      return answer_member(request.from, command_done{{}, {}, false});
    auto record = std::make_shared<turn_record>();
    record->at = services->now();
    record->catalog_index = services->definitions->get()->index;
    record->facts = std::move(*facts);
    if (request.audit)
      record->facts.push_back(*request.audit);
    if (auto proposed = services->log->propose(catalog_group, term, record); !proposed)
      return answer_member(request.from, proposed.error());
    member_in_flight = std::move(record);
    member_from = request.from;
  }

  void member_committed() {
    member_in_flight.reset();
    answer_member(std::exchange(member_from, {}), command_done{});
    for (auto& request : std::exchange(members_waiting, {}))
      change_member(std::move(request));
  }

  /// A new catalogue, when the record has a definition.
  void publish(const turn_record& record) {
    std::shared_ptr<catalog> next;
    for (const auto& f : record.facts)
      if (const auto* applied = std::get_if<definition_applied>(&f)) {
        if (!next)
          next = std::make_shared<catalog>(*services->definitions->get());
        const auto taken = take(*next, *applied, record.at, services->compile_with);
        HOLDFAST_ASSERT(taken, "a committed definition does not compile");
      }
    if (next)
      services->definitions->set(std::move(next));
  }

  void committed(const committed_group& group) {
    for (const auto& record : group.records) {
      publish(*record);
      if (const auto audited = audits.find(record.get()); audited != audits.end()) {
        services->tell(audited->second, command_done{});
        audits.erase(audited);
      }
      if (record == member_in_flight)
        member_committed();
      if (record != in_flight)
        continue;
      in_flight.reset();
      services->tell(from, std::exchange(then, {}));
    }
    auto again = std::exchange(waiting, {});
    for (auto& request : again)
      apply(std::move(request));
  }
};

catalog_actor::behavior_type catalog_behavior(self_pointer<catalog_actor, catalog_state> self,
                                              services_ptr services, std::uint64_t term) {
  self->state.services = std::move(services);
  self->state.term = term;
  self->state.load();
  return {
    [self](atom::define, definition_request& request) { self->state.apply(std::move(request)); },
    [self](atom::member, member_request& request) {
      self->state.change_member(std::move(request));
    },
    [self](atom::audit, audit_request& request) { self->state.audit(std::move(request)); },
    [self](atom::cut, std::uint64_t epoch) { self->state.cut(epoch); },
    [self](atom::commit, const committed_group& group) { self->state.committed(group); },
    [self](atom::lost) { self->quit(caf::exit_reason::user_shutdown); },
  };
}

}  // namespace

catalog_actor spawn_catalog(caf::actor_system& system, services_ptr services, std::uint64_t term) {
  return system.spawn(catalog_behavior, std::move(services), term);
}

}  // namespace holdfast
