// PUT /v1/definitions, and the types that there are.

#include "runtime/gateway/requests.hpp"

#include "runtime/definition/definition_parser.hpp"
#include "runtime/gateway/documents.hpp"
#include "runtime/gateway/paging.hpp"

namespace holdfast {

namespace {

struct source_file {
  std::string name;
  std::string text;
};

constexpr std::size_t files_max = 256;

/// `{"files":[{"name","text"}]}`, what the CLI sends for a folder.
std::optional<refusal> read_files(const call& c, std::vector<source_file>& out) {
  if (auto checked = check_body(c.request.body, c.at().opts.body); !checked)
    return refusal{checked.error(), {}};
  member_reader members{c.request.body, {"files"}};
  members.require("files", "a list of {\"name\", \"text\"}");
  array_walk walk{members.raw("files")};
  if (members.good() && !walk.is_array())
    members.note("/files", "must be an array");
  while (members.good() && walk.next()) {
    const std::string pointer = "/files/" + std::to_string(out.size());
    member_reader file{walk.value(), {"name", "text"}};
    file.require("name", "the file's name");
    file.require("text", "the file's text");
    out.push_back({file.text("name"), file.text("text")});
    for (const auto& problem : file.problems())
      members.note(pointer + problem.pointer, problem.detail);
    if (out.size() > files_max)
      members.note("/files", "has more than " + std::to_string(files_max) + " files");
  }
  if (!members.good())
    return members.refused();
  return std::nullopt;
}

/// The texts of the request.
std::optional<refusal> read_sources(const call& c, std::vector<source_file>& out) {
  const auto content_type = c.request.header("content-type");
  const media kind = media_of(content_type);
  if (c.request.body.size() > c.at().opts.body.bytes_max)
    return refusal{{errc::too_large, "the body is larger than this node takes"}, {}};
  if (kind == media::definitions)
    return read_files(c, out);
  if (kind != media::yaml && kind != media::json && kind != media::none)
    return refusal{unsupported_media(content_type, "application/yaml or application/json"), {}};
  if (c.request.body.empty())
    return refusal{{errc::malformed, "the body is empty; send a definition"}, {}};
  if (!is_utf8(c.request.body))
    return refusal{{errc::malformed, "the body is not UTF-8"}, {}};
  if (kind == media::json)
    if (auto checked = check_json(c.request.body, c.at().opts.body.depth_max); !checked)
      return refusal{checked.error(), {}};
  out.push_back({kind == media::json ? "body.json" : "body.yaml", c.request.body});
  return std::nullopt;
}

definition_problem problem_of(const source_file& file, const parsed_definition& item,
                              std::string pointer, errc code, std::string message) {
  definition_problem out;
  out.file = file.name;
  out.line = item.line;
  out.pointer = std::move(pointer);
  out.code = code;
  out.message = std::move(message);
  return out;
}

/// What only the node can say: native types, models, secrets.
void check_against_node(const call& c, const source_file& file, const parsed_definition& item,
                        std::vector<definition_problem>& problems) {
  const auto& opts = c.at().opts;
  if (const auto* agent = std::get_if<agent_definition>(&item.definition)) {
    if (agent->behaviour == behaviour_kind::native && !c.node().has_native(agent->type))
      problems.push_back(
        problem_of(file, item, "/behaviour", errc::schema,
                   "this node has no native agent registered as `" + agent->type +
                     "`; start the program that registers it, or use `behaviour: llm`"));
    if (agent->behaviour == behaviour_kind::llm && opts.check_model) {
      if (agent->models.empty())
        if (const auto known = opts.check_model({}); !known)
          problems.push_back(
            problem_of(file, item, "/model/use", errc::schema, known.error().context));
      for (std::size_t i = 0; i < agent->models.size(); ++i)
        if (const auto known = opts.check_model(agent->models[i]); !known)
          problems.push_back(problem_of(file, item, "/model/use/" + std::to_string(i), errc::schema,
                                        known.error().context));
    }
  }
  if (opts.secret)
    for (const auto& name : secrets_used(item.definition))
      if (const auto secret = opts.secret(name); !secret)
        problems.push_back(problem_of(file, item, {}, errc::schema,
                                      "secret `" + name + "`: " + secret.error().context));
}

/// Every definition of every file, or every problem.
std::vector<definition_problem> read_definitions(const call& c,
                                                 const std::vector<source_file>& files,
                                                 std::vector<definition_change_request>& wanted) {
  std::vector<definition_problem> problems;
  std::map<std::pair<std::string, std::string>, std::string> seen;
  for (const auto& file : files) {
    auto parsed = parse_definitions(file.text, file.name, c.at().opts.with);
    problems.insert(problems.end(), parsed.problems.begin(), parsed.problems.end());
    if (!parsed)
      continue;
    for (auto& item : parsed.items) {
      const auto [before, fresh] = seen.emplace(std::pair{item.kind, item.name}, file.name);
      if (!fresh)
        problems.push_back(problem_of(
          file, item, {}, errc::schema,
          item.kind + " " + item.name + " is defined twice; the first is in " + before->second));
      check_against_node(c, file, item, problems);
      wanted.push_back({item.kind, item.name, std::move(item.canonical_json)});
    }
  }
  if (problems.empty() && wanted.empty())
    problems.push_back({files.empty() ? std::string{"body"} : files.front().name,
                        0,
                        0,
                        {},
                        errc::schema,
                        "there is no definition in it"});
  return problems;
}

refusal refusal_of(const std::vector<definition_problem>& problems) {
  refusal out{to_error(problems), {}};
  for (const auto& problem : problems)
    out.items.push_back({problem.pointer, to_string(problem)});
  return out;
}

/// A hook's events may go to agents of any type.
status may_define(const principal& who, const definition_change_request& one) {
  return one.kind == "agent" ? check_type(who, one.name) : check_every_type(who);
}

void apply_definitions(const call& c, bool dry_run) {
  std::vector<source_file> files;
  if (const auto refused = read_sources(c, files))
    return c.reply.refuse(*refused);
  std::vector<definition_change_request> wanted;
  if (const auto problems = read_definitions(c, files, wanted); !problems.empty())
    return c.reply.refuse(refusal_of(problems));
  std::string names;
  for (const auto& one : wanted) {
    if (const auto allowed = may_define(*c.reply.who(), one); !allowed)
      return c.reply.refuse(allowed.error());
    names += (names.empty() ? "" : ", ") + one.kind + "/" + one.name;
  }
  c.reply.note_subject(names);
  if (dry_run)
    c.reply.audited();  // nothing is changed
  c.node().apply(std::move(wanted), dry_run, c.principal(), c.reply.note(),
                 [reply = c.reply, dry_run](const answer& told) {
                   if (!std::holds_alternative<error>(told))
                     reply.audited();
                   if (const auto* done = std::get_if<definitions_done>(&told))
                     reply.document(definitions_document(*done, dry_run));
                   else if (const auto* why = std::get_if<error>(&told))
                     reply.refuse(*why);
                   else
                     reply.refuse(error{errc::internal, "an answer of another kind"});
                 });
}

/// The type that the path names, or the refusal is sent.
const definition_history* type_or_refuse(const call& c, const catalog* definitions,
                                         std::string& name) {
  const auto text = c.parameter(0);
  if (text && definitions != nullptr)
    if (const auto found = definitions->agents.find(*text); found != definitions->agents.end()) {
      name = *text;
      return &found->second;
    }
  c.reply.refuse(error{errc::unknown_type,
                       "there is no such agent type; `holdfast type list` shows those there are"});
  return nullptr;
}

}  // namespace

void put_definitions(call&& c) {
  const auto query = c.query();
  if (!query)
    return c.reply.refuse(query.error());
  const auto dry_run = query->flag("dry_run");
  if (!dry_run)
    return c.reply.refuse(dry_run.error());
  if (!c.at().opts.with.jq || !c.at().opts.with.json_schema)
    return c.reply.refuse(error{errc::not_available, "this node takes no definitions"});
  auto& at = c.at();
  at.offload([held = std::make_shared<call>(std::move(c)), dry_run = *dry_run] {
    apply_definitions(*held, dry_run);
  });
}

void list_types(call&& c) {
  const auto query = c.query();
  if (!query)
    return c.reply.refuse(query.error());
  const auto page = page_of(*query, cursor_kind::agent);
  if (!page)
    return c.reply.refuse(page.error());
  list_writer list;
  std::string next;
  if (const auto definitions = c.node().definitions()) {
    std::string last;
    for (auto at = definitions->agents.upper_bound(page->after); at != definitions->agents.end();
         ++at) {
      if (list.is_full(page->limit, c.at().opts.page_bytes_max)) {
        next = make_cursor(cursor_kind::agent, last);
        break;
      }
      last = at->first;
      if (!c.reply.sees(at->first))
        continue;
      write_type(list.item(), at->second, at->first, false);
    }
  }
  c.reply.document(list.finish(next));
}

void get_type(call&& c) {
  const auto definitions = c.node().definitions();
  std::string name;
  const auto* history = type_or_refuse(c, definitions.get(), name);
  if (history == nullptr)
    return;
  std::string body;
  json_writer json{body};
  write_type(json, *history, name, true);
  c.reply.document(std::move(body));
}

void get_type_versions(call&& c) {
  const auto definitions = c.node().definitions();
  std::string name;
  const auto* history = type_or_refuse(c, definitions.get(), name);
  if (history == nullptr)
    return;
  const auto query = c.query();
  if (!query)
    return c.reply.refuse(query.error());
  const auto page = page_of(*query, cursor_kind::number);
  if (!page)
    return c.reply.refuse(page.error());
  const auto before = number_at(page->after);
  list_writer list;
  std::string next;
  std::uint32_t last = 0;
  for (auto at = history->versions.rbegin(); at != history->versions.rend(); ++at) {
    if (before && at->first >= *before)
      continue;
    if (list.is_full(page->limit, c.at().opts.page_bytes_max)) {
      next = make_cursor(cursor_kind::number, position_of(last));
      break;
    }
    const auto applied = history->applied_at.find(at->first);
    write_type_version(list.item(), at->second,
                       applied == history->applied_at.end() ? 0 : applied->second,
                       at->first == history->current);
    last = at->first;
  }
  c.reply.document(list.finish(next));
}

}  // namespace holdfast
