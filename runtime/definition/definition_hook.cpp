#include <algorithm>
#include <array>
#include <utility>

#include "runtime/definition/definition_reader.hpp"

namespace holdfast {

namespace {

constexpr std::size_t secrets_max = 8;
constexpr std::array<std::pair<std::string_view, hook_preset>, 2> presets{
  {{"none", hook_preset::none}, {"hmac", hook_preset::hmac}}};
constexpr std::array<std::string_view, 8> presets_later{
  "stripe",       "github",  "slack",     "standard-webhooks",
  "alertmanager", "grafana", "pagerduty", "cloudevents"};
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> algorithms{
  {{"sha256", "sha256"}, {"sha1", "sha1"}, {"sha512", "sha512"}}};
constexpr std::array<std::pair<std::string_view, std::string_view>, 2> encodings{
  {{"hex", "hex"}, {"base64", "base64"}}};

bool is_source(std::string_view source) noexcept {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !source.empty() && source.size() <= 63 && letter(source.front()) &&
         std::all_of(source.begin(), source.end(),
                     [&](char c) { return letter(c) || c == '-' || c == '_' || c == '.'; });
}

bool is_header(std::string_view name) noexcept {
  return !name.empty() && name.size() <= 128 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

void read_header(map_reader& in, std::string& out) {
  if (in.text("header", out) && !is_header(out))
    in.problem(in.node().find("header")->value, "/header", "`header`: not the name of a header");
}

void check_template(map_reader& in, const hmac_definition& out) {
  const auto* entry = in.node().find("template");
  const auto& at = entry == nullptr ? in.node() : entry->value;
  std::string_view text = out.content_template;
  bool has_body = false, has_timestamp = false;
  for (std::size_t i = text.find_first_of("{}"); i != std::string_view::npos;
       i = text.find_first_of("{}", i + 1)) {
    const bool body = text.substr(i).starts_with("{body}");
    const bool timestamp = text.substr(i).starts_with("{timestamp}");
    if (!body && !timestamp)
      return in.problem(at, "/template",
                        "`template`: only {body} and {timestamp} may be in braces");
    has_body |= body;
    has_timestamp |= timestamp;
    i = text.find('}', i);
  }
  if (!has_body)
    in.problem(at, "/template", "`template`: without {body} anybody could send anything");
  if (has_timestamp && out.timestamp_header.empty())
    in.problem(at, "/template",
               "`template` has {timestamp}: say where it is, timestamp: { header: NAME }");
  if (!has_timestamp && !out.timestamp_header.empty())
    in.problem(
      at, "/template",
      "`template` without {timestamp} leaves the timestamp unsigned: \"{timestamp}.{body}\"");
}

void read_hmac(map_reader& in, hmac_definition& out) {
  read_header(in, out.header);
  if (std::string_view name; in.choice("algorithm", name, algorithms))
    out.algorithm = name;
  if (std::string_view name; in.choice("encoding", name, encodings))
    out.encoding = name;
  in.text("prefix", out.prefix, 64);
  in.text("template", out.content_template, 512);
  read_map(in, "timestamp", [&](map_reader& below) {
    read_header(below, out.timestamp_header);
    if (!below.has("header"))
      below.missing("header", "where the timestamp is");
  });
  if (in.duration("tolerance", out.tolerance_ms) && out.timestamp_header.empty())
    in.problem(in.node().find("tolerance")->value, "/tolerance",
               "`tolerance` takes a timestamp: { header: NAME }");
  check_template(in, out);
}

void read_secrets(map_reader& in, hook_definition& out) {
  std::vector<std::string> texts;
  if (!in.texts("secret", texts, secrets_max))
    return;
  for (const auto& text : texts) {
    auto name = secret_reference(text);
    if (name)
      out.secrets.push_back(std::move(*name));
    else
      in.problem(in.node().find("secret")->value, "/secret", "`secret`: " + name.error().context);
  }
}

}  // namespace

hook_definition read_hook(map_reader& in, const compilers& with) {
  hook_definition out;
  if (!in.text("source", out.source) && !in.has("source"))
    in.missing("source", "the last part of its path, /v1/hooks/SOURCE");
  else if (!out.source.empty() && !is_source(out.source))
    in.problem(in.node().find("source")->value, "/source",
               "`source`: expected letters, digits, - _ and .");
  in.choice("preset", out.preset, presets, presets_later);
  read_secrets(in, out);
  read_jq(in, "type", out.type, with);
  read_jq(in, "id", out.id, with);
  const bool has_hmac =
    read_map(in, "hmac", [&](map_reader& below) { read_hmac(below, out.hmac); });
  if (!in.has("preset") && has_hmac)
    out.preset = hook_preset::hmac;
  else if (!in.has("preset"))
    in.missing("preset", "`hmac`, or `none` for a source that signs nothing");
  if (out.preset == hook_preset::hmac && !in.has("secret"))
    in.missing("secret", "what the signature is made with, \"${secret:NAME}\"");
  if (in.has("preset") && out.preset == hook_preset::none && (in.has("secret") || has_hmac) &&
      in.node().find("preset")->value.text == "none")
    in.problem(in.node().find("preset")->value, "/preset",
               "`preset`: `none` checks nothing; with a secret write `hmac`");
  return out;
}

}  // namespace holdfast
