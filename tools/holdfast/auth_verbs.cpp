// `auth key`: the keys file of a node, changed where it lies. A running node sees the change.

#include <array>
#include <nlohmann/json.hpp>

#include "runtime/expression/nearest_name.hpp"
#include "runtime/host/key_file.hpp"
#include "runtime/host/sha256.hpp"
#include "schemas/units.hpp"
#include "tools/holdfast/command_tree.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 4> roles_there_are{"viewer", "operator", "developer",
                                                          "admin"};

struct create_options {
  std::string name;
  std::vector<std::string> roles;
  std::vector<std::string> types;
  std::string expires;
};

std::filesystem::path keys_file(session& with, const std::string& given) {
  if (!given.empty())
    return given;
  const auto variable = with.host().variable("HOLDFAST_KEYS_FILE");
  return variable && !variable->empty() ? *variable : "keys.yaml";
}

[[noreturn]] void fail(const error& why) {
  const auto code = why.code == errc::not_found  ? exit_code::not_found
                    : why.code == errc::conflict ? exit_code::refused
                    : why.code == errc::schema   ? exit_code::usage
                                                 : exit_code::failed;
  throw command_failure{code, why.context};
}

json key_document(const api_key& key) {
  json out{{"kind", "api_key"}, {"name", key.who.name}};
  out["roles"] = json::array();
  for (const auto role : names_of(key.who.roles))
    out["roles"].push_back(role);
  out["types"] = key.who.scope.is_all() ? json::array({"*"}) : json(key.who.scope.types);
  out["expires"] = key.who.expires ? json(format_time(*key.who.expires)) : json{};
  // Enough to tell keys apart; not enough to look one up in a list of others.
  out["hash"] = "sha256:" + hex_text(key.hash).substr(0, 8) + "…";
  return out;
}

principal principal_of(session& with, const create_options& options) {
  principal who;
  who.name = options.name;
  if (!is_key_name(who.name))
    refuse_usage(
      "a key's name is letters, digits and . _ @ -, at most 64, and not `local` or "
      "`holdfast`");
  for (const auto& name : options.roles) {
    const auto role = key_role_of(name);
    if (!role)
      refuse_usage("no role `" + name + "`: there is " + list_of(roles_there_are, "and") +
                   did_you_mean(name, roles_there_are));
    who.roles.add(*role);
  }
  for (const auto& type : options.types) {
    if (type == "*" && options.types.size() == 1)
      break;
    if (!is_valid_type(type))
      refuse_usage("`" + type + "` is no agent type; write * alone for all of them");
    who.scope.types.push_back(type);
  }
  if (!options.expires.empty()) {
    const auto lasts_ms = parse_duration_ms(options.expires);
    if (!lasts_ms)
      refuse_usage("--expires: " + lasts_ms.error().context);
    who.expires = with.now() + *lasts_ms * 1'000;
  }
  return who;
}

exit_code create(session& with, const create_options& options, const std::string& file_given) {
  api_key added;
  added.who = principal_of(with, options);
  const auto token = new_token();
  if (!token)
    fail(token.error());
  added.hash = sha256(*token);
  const auto file = keys_file(with, file_given);
  const auto changed = change_key_file(file, [&](std::vector<api_key>& keys) -> status {
    for (const auto& one : keys)
      if (one.who.name == added.who.name)
        return error{errc::conflict, "there is a key `" + added.who.name + "` in " + file.string() +
                                       " already; revoke it first, or take another name"};
    if (keys.size() == key_limits::keys_max)
      return error{errc::conflict, file.string() + " has " + std::to_string(keys.size()) +
                                     " keys, the most it takes"};
    keys.push_back(added);
    return ok_status();
  });
  if (!changed)
    fail(changed.error());
  if (with.out().is_for_people()) {
    with.out().line(*token);
    with.out().say("key `" + added.who.name + "` is in " + file.string() +
                   "; its token stands above and nowhere else: keep it now");
  } else {
    auto document = key_document(added);
    document["token"] = *token;
    with.out().describe(document, with.now());
  }
  return exit_code::done;
}

exit_code list_keys(session& with, const std::string& file_given) {
  const auto keys = read_key_file(keys_file(with, file_given));
  if (!keys)
    fail(keys.error());
  json items = json::array();
  for (const auto& key : *keys)
    items.push_back(key_document(key));
  with.out().list({{"kind", "list"}, {"items", std::move(items)}, {"next", nullptr}}, view::key,
                  with.now());
  return exit_code::done;
}

exit_code revoke(session& with, const std::string& name, const std::string& file_given) {
  const auto file = keys_file(with, file_given);
  const auto changed = change_key_file(file, [&](std::vector<api_key>& keys) -> status {
    if (std::erase_if(keys, [&](const api_key& key) { return key.who.name == name; }) != 0)
      return ok_status();
    return error{errc::not_found, "there is no key `" + name + "` in " + file.string() +
                                    "; `holdfast auth key list` shows those there are"};
  });
  if (!changed)
    fail(changed.error());
  with.out().say("key `" + name + "` is revoked in " + file.string());
  return exit_code::done;
}

}  // namespace

void add_auth_verbs(command_tree& tree) {
  auto& auth = tree.noun(tree.root(), "auth", "who may do what");
  auto& key = tree.noun(auth, "key", "API keys, in the keys file of a node");
  const auto add_file = [](CLI::App& verb, const std::shared_ptr<std::string>& into) {
    verb.add_option("--keys-file", *into, "the file (HOLDFAST_KEYS_FILE; default keys.yaml)")
      ->option_text("FILE");
  };

  auto created = std::make_shared<create_options>();
  auto file = std::make_shared<std::string>();
  auto& create_verb =
    tree.verb(key, "create", "a new key; prints its token, once",
              "holdfast auth key create ci --roles developer --types support,billing\n"
              "holdfast auth key create ops --roles operator --expires 30d --keys-file "
              "/etc/holdfast/keys.yaml",
              [created, file](session& with) { return create(with, *created, *file); });
  create_verb.add_option("name", created->name, "what the audit log calls it")
    ->required()
    ->option_text("NAME");
  create_verb.add_option("--roles,--role", created->roles, "viewer, operator, developer, admin")
    ->required()
    ->delimiter(',')
    ->expected(1)
    ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
    ->option_text("ROLE,...");
  create_verb.add_option("--types,--type", created->types, "agent types it is for (default: all)")
    ->delimiter(',')
    ->expected(1)
    ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
    ->option_text("TYPE,...");
  create_verb.add_option("--expires", created->expires, "when it ends: a duration such as 30d")
    ->option_text("DURATION");
  add_file(create_verb, file);

  auto& list_verb = tree.verb(key, "list", "keys, without their secrets", "holdfast auth key list",
                              [file](session& with) { return list_keys(with, *file); });
  add_file(list_verb, file);

  auto revoked = std::make_shared<std::string>();
  auto& revoke_verb =
    tree.verb(key, "revoke", "end one", "holdfast auth key revoke ci",
              [revoked, file](session& with) { return revoke(with, *revoked, *file); });
  revoke_verb.add_option("name", *revoked, "its name")->required()->option_text("NAME");
  add_file(revoke_verb, file);
}

}  // namespace holdfast::cli
