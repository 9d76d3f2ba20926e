#include "runtime/host/api_keys.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "runtime/expression/nearest_name.hpp"
#include "runtime/host/config_reader.hpp"
#include "runtime/host/sha256.hpp"
#include "schemas/units.hpp"

namespace holdfast {

namespace {

constexpr std::string_view token_prefix = "hf_";
constexpr std::size_t token_bytes = 32;
constexpr std::size_t token_characters = 52;  // 5 bits each
constexpr std::string_view token_alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::string_view hash_prefix = "sha256:";
constexpr std::array<std::string_view, 4> role_names_known{"viewer", "operator", "developer",
                                                           "admin"};

void read_hash(map_reader& in, api_key& out) {
  std::string text;
  if (!in.text("hash", text)) {
    if (!in.has("hash"))
      in.missing("hash", "\"sha256:…\", as `holdfast auth key create` writes it");
    return;
  }
  auto bytes =
    text.starts_with(hash_prefix) ? bytes_of_hex(text.substr(hash_prefix.size())) : std::nullopt;
  if (!bytes || bytes->size() != token_bytes)
    return in.problem(in.node().find("hash")->value, "/hash",
                      "`hash`: expected sha256: and 64 hexadecimal digits; make a key with "
                      "`holdfast auth key create NAME --roles ROLE`");
  out.hash = std::move(*bytes);
}

void read_roles(map_reader& in, api_key& out) {
  std::vector<std::string> names;
  if (!in.texts("roles", names, role_names_known.size())) {
    if (!in.has("roles"))
      in.missing("roles", "one or more of viewer, operator, developer, admin");
    return;
  }
  for (const auto& name : names) {
    if (const auto role = key_role_of(name))
      out.who.roles.add(*role);
    else
      in.problem(in.node().find("roles")->value, "/roles",
                 "`roles`: expected " + list_of(role_names_known, "or") + ", not `" +
                   one_line(name.substr(0, 80)) + "`" + did_you_mean(name, role_names_known));
  }
}

void read_types(map_reader& in, api_key& out) {
  std::vector<std::string> types;
  if (!in.texts("types", types, key_limits::types_max))
    return;
  if (types == std::vector<std::string>{"*"})
    return;
  for (const auto& type : types)
    if (!is_valid_type(type))
      return in.problem(
        in.node().find("types")->value, "/types",
        "`types`: expected [\"*\"], or agent types, not `" + one_line(type.substr(0, 80)) + "`");
  out.who.scope.types = std::move(types);
}

api_key read_key(const document_node& node, std::string pointer,
                 std::vector<document_problem>& problems) {
  map_reader in{node, std::move(pointer), problems};
  api_key out;
  if (!in.text("name", out.who.name, key_limits::name_bytes_max)) {
    if (!in.has("name"))
      in.missing("name", "what the audit log calls it");
  } else if (!is_key_name(out.who.name)) {
    in.problem(in.node().find("name")->value, "/name",
               "`name`: expected letters, digits and . _ @ -, and not `local` or `holdfast`");
  }
  read_hash(in, out);
  read_roles(in, out);
  read_types(in, out);
  if (std::string text; in.text("expires", text)) {
    if (const auto at = parse_time(text))
      out.who.expires = *at;
    else
      in.problem(in.node().find("expires")->value, "/expires",
                 "`expires`: expected a time like 2026-12-31T00:00:00Z");
  }
  in.finish();
  return out;
}

}  // namespace

result<std::string> new_token() {
  std::string random(token_bytes + 1, '\0');  // one more: the last character takes 5 whole bits
  if (!fill_random(random.data(), token_bytes))
    return error{errc::internal, "the system has no randomness to make a key of"};
  std::string out{token_prefix};
  for (std::size_t bit = 0; bit < token_characters * 5; bit += 5) {
    const auto high = static_cast<unsigned char>(random[bit / 8]);
    const auto low =
      static_cast<unsigned char>(bit / 8 + 1 < random.size() ? random[bit / 8 + 1] : '\0');
    const unsigned pair = static_cast<unsigned>(high) << 8 | low;
    out += token_alphabet[pair >> (11 - bit % 8) & 31];
  }
  return out;
}

bool looks_like_token(std::string_view text) noexcept {
  return text.size() == token_prefix.size() + token_characters && text.starts_with(token_prefix) &&
         text.substr(token_prefix.size()).find_first_not_of(token_alphabet) ==
           std::string_view::npos;
}

bool is_key_name(std::string_view name) noexcept {
  const auto is_word = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  const auto fits = [&](char c) {
    return is_word(c) || c == '.' || c == '_' || c == '@' || c == '-';
  };
  return !name.empty() && name.size() <= key_limits::name_bytes_max && is_word(name.front()) &&
         std::all_of(name.begin(), name.end(), fits) && name != "local" && name != "holdfast";
}

std::vector<api_key> read_keys(const document_node& list, std::string_view pointer,
                               std::vector<document_problem>& problems) {
  std::vector<api_key> out;
  const auto problem = [&](const document_node& at, std::string below, std::string message) {
    problems.push_back(
      {at.line, at.column, std::string{pointer} + below, errc::schema, std::move(message)});
  };
  if (!list.is_list()) {
    problem(list, "",
            "`keys`: expected a list of { name, hash, roles, types }, not " +
              std::string{kind_name(list)});
    return out;
  }
  if (list.items.size() > key_limits::keys_max) {
    problem(list, "", "`keys`: more than " + std::to_string(key_limits::keys_max) + " keys");
    return out;
  }
  std::set<std::string> names;
  std::set<std::string> hashes;
  const auto first = static_cast<std::ptrdiff_t>(problems.size());
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    const auto below = "/" + std::to_string(i);
    auto key = read_key(list.items[i], std::string{pointer} + below, problems);
    if (!key.who.name.empty() && !names.insert(key.who.name).second)
      problem(list.items[i], below, "the key `" + one_line(key.who.name) + "` is there twice");
    if (!key.hash.empty() && !hashes.insert(key.hash).second)
      problem(list.items[i], below, "two keys have the same `hash`");
    out.push_back(std::move(key));
  }
  std::stable_sort(problems.begin() + first, problems.end(),
                   [](const auto& a, const auto& b) { return a.line < b.line; });
  return out;
}

parsed_keys parse_keys(std::string_view text) {
  parsed_keys out;
  auto parsed = parse_documents(text);
  out.problems = std::move(parsed.problems);
  if (out.problems.empty() && parsed.documents.size() != 1)
    out.problems.push_back(
      {0, 0, "", errc::schema,
       "expected `keys:` and a list, as `holdfast auth key create` writes it"});
  if (!out.problems.empty())
    return out;
  map_reader in{parsed.documents.front(), "", out.problems};
  if (const auto* list = in.take("keys"))
    out.keys = read_keys(list->value, "/keys", out.problems);
  else
    in.missing("keys", "a list of { name, hash, roles, types }");
  in.finish();
  return out;
}

std::string render_keys(const std::vector<api_key>& keys) {
  const auto listed = [](const auto& words, bool quoted) {
    std::string out;
    for (const auto& word : words) {
      out += out.empty() ? "" : ", ";
      out += quoted ? "\"" + std::string{word} + "\"" : std::string{word};
    }
    return "[" + out + "]";
  };
  std::string out =
    "# API keys, as `holdfast auth key create|revoke` writes them: the tokens are not in here.\n";
  out += keys.empty() ? "keys: []\n" : "keys:\n";
  for (const auto& key : keys) {
    out += "  - name: \"" + key.who.name + "\"\n";
    out += "    hash: \"" + std::string{hash_prefix} + hex_text(key.hash) + "\"\n";
    out += "    roles: " + listed(names_of(key.who.roles), false) + "\n";
    out +=
      "    types: " + (key.who.scope.is_all() ? "[\"*\"]" : listed(key.who.scope.types, true)) +
      "\n";
    if (key.who.expires)
      out += "    expires: \"" + format_time(*key.who.expires) + "\"\n";
  }
  return out;
}

}  // namespace holdfast
