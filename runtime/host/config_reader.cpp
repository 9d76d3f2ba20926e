#include "runtime/host/config_reader.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/expression/nearest_name.hpp"
#include "runtime/host/config_secrets.hpp"
#include "schemas/units.hpp"

namespace holdfast {

namespace {

const document_node& empty_map() {
  static const document_node node{document_node::kind_type::map, "", false, 0, 0, {}, {}};
  return node;
}

/// Cut when long: what was written may be a whole file.
std::string ticked(std::string_view text) {
  constexpr std::size_t bytes_max = 80;
  return "`" + std::string{text.substr(0, bytes_max)} + (text.size() > bytes_max ? "…`" : "`");
}

}  // namespace

map_reader::map_reader(const document_node& node, std::string pointer,
                       std::vector<document_problem>& problems)
  : node_(node.is_map() ? &node : &empty_map()),
    pointer_(std::move(pointer)),
    problems_(&problems) {
  if (!node.is_map())
    problems_->push_back({node.line, node.column, pointer_, errc::schema,
                          "expected a map, not " + std::string{kind_name(node)}});
}

void map_reader::finish() {
  const std::vector<std::string_view> known{asked_.begin(), asked_.end()};
  for (const auto& entry : node_->entries)
    if (std::find(known.begin(), known.end(), entry.key) == known.end())
      problems_->push_back({entry.line, entry.column, pointer_of(entry.key), errc::schema,
                            "unknown key " + ticked(entry.key) + did_you_mean(entry.key, known)});
}

const document_entry* map_reader::take(std::string_view key) {
  asked_.emplace_back(key);
  return node_->find(key);
}

bool map_reader::not_available(std::string_view key, std::string_view instead) {
  const auto* entry = take(key);
  if (entry == nullptr)
    return false;
  std::string message = ticked(key) + " is not available in this release";
  if (!instead.empty())
    message += "; " + std::string{instead};
  problems_->push_back(
    {entry->line, entry->column, pointer_of(key), errc::not_available, std::move(message)});
  return true;
}

void map_reader::problem(const document_node& at, std::string_view below, std::string message,
                         errc code) {
  problems_->push_back(
    {at.line, at.column, pointer_ + std::string{below}, code, std::move(message)});
}

void map_reader::missing(std::string_view key, std::string_view what) {
  problems_->push_back({node_->line, node_->column, pointer_of(key), errc::schema,
                        ticked(key) + " is missing: " + std::string{what}});
}

bool map_reader::bad(const document_entry& entry, std::string message, errc code) {
  const auto& at = entry.value.line != 0
                     ? entry.value
                     : document_node{{}, "", false, entry.line, entry.column, {}, {}};
  problems_->push_back({at.line, at.column, pointer_of(entry.key), code,
                        ticked(entry.key) + ": " + std::move(message)});
  return false;
}

const document_entry* map_reader::scalar(std::string_view key, std::string_view expected) {
  const auto* entry = take(key);
  if (entry == nullptr)
    return nullptr;
  if (entry->value.kind == document_node::kind_type::null) {
    bad(*entry, "has no value; remove it, or write " + std::string{expected});
    return nullptr;
  }
  if (!entry->value.is_scalar()) {
    bad(*entry,
        "expected " + std::string{expected} + ", not " + std::string{kind_name(entry->value)});
    return nullptr;
  }
  return entry;
}

bool map_reader::text(std::string_view key, std::string& out, std::size_t bytes_max) {
  const auto* entry = scalar(key, "text");
  if (entry == nullptr)
    return false;
  if (entry->value.text.size() > bytes_max)
    return bad(*entry, "longer than " + std::to_string(bytes_max) + " bytes");
  out = entry->value.text;
  written_[std::string{key}] = out;
  return true;
}

bool map_reader::truth(std::string_view key, bool& out) {
  const auto* entry = scalar(key, "true or false");
  if (entry == nullptr)
    return false;
  const auto value = to_json(entry->value);
  if (!value.is_boolean())
    return bad(*entry, "expected true or false, not " + ticked(entry->value.text));
  out = value.get<bool>();
  written_[std::string{key}] = out;
  return true;
}

bool map_reader::whole(std::string_view key, std::uint64_t& out, std::uint64_t least,
                       std::uint64_t most) {
  const auto* entry = scalar(key, "a number");
  if (entry == nullptr)
    return false;
  std::uint64_t value = 0;
  if (entry->value.is_text || !parse_number(entry->value.text, value) || value < least ||
      value > most)
    return bad(*entry, "expected a whole number from " + std::to_string(least) + " to " +
                         std::to_string(most) + ", not " +
                         (entry->value.is_text ? "text" : ticked(entry->value.text)));
  out = value;
  written_[std::string{key}] = out;
  return true;
}

bool map_reader::real(std::string_view key, double& out, double least, double most) {
  const auto* entry = scalar(key, "a number");
  if (entry == nullptr)
    return false;
  const auto value = to_json(entry->value);
  if (!value.is_number() || value.get<double>() < least || value.get<double>() > most)
    return bad(*entry, "expected a number from " + nlohmann::json(least).dump() + " to " +
                         nlohmann::json(most).dump() + ", not " +
                         (entry->value.is_text ? "text" : ticked(entry->value.text)));
  out = value.get<double>();
  written_[std::string{key}] = out;
  return true;
}

bool map_reader::duration(std::string_view key, std::int64_t& out_ms, std::int64_t least_ms) {
  const auto* entry = scalar(key, "a duration like 10s");
  if (entry == nullptr)
    return false;
  const auto value = parse_duration_ms(entry->value.text);
  if (!value)
    return bad(*entry, value.error().context);
  if (*value < least_ms)
    return bad(*entry, "at least " + format_duration_ms(least_ms));
  out_ms = *value;
  written_[std::string{key}] = format_duration_ms(out_ms);
  return true;
}

bool map_reader::size(std::string_view key, std::uint64_t& out_bytes, std::uint64_t least,
                      std::uint64_t most) {
  const auto* entry = scalar(key, "a size like 64KiB");
  if (entry == nullptr)
    return false;
  const auto value = parse_size_bytes(entry->value.text);
  if (!value)
    return bad(*entry, value.error().context);
  if (*value < least)
    return bad(*entry, "at least " + format_size_bytes(least));
  if (*value > most)
    return bad(*entry, "at most " + format_size_bytes(most));
  out_bytes = *value;
  written_[std::string{key}] = format_size_bytes(out_bytes);
  return true;
}

bool map_reader::money(std::string_view key, nano_usd& out) {
  const auto* entry = scalar(key, "an amount like \"1.50\"");
  if (entry == nullptr)
    return false;
  const auto value = parse_usd(entry->value.text);
  if (!value)
    return bad(*entry, value.error().context);
  out = *value;
  written_[std::string{key}] = format_usd(out);
  return true;
}

bool map_reader::texts(std::string_view key, std::vector<std::string>& out, std::size_t most) {
  const auto* entry = take(key);
  if (entry == nullptr)
    return false;
  std::vector<const document_node*> nodes;
  if (entry->value.is_list())
    for (const auto& item : entry->value.items)
      nodes.push_back(&item);
  else
    nodes.push_back(&entry->value);
  if (nodes.empty() || nodes.size() > most)
    return bad(*entry, "expected 1 to " + std::to_string(most) + " texts");
  std::vector<std::string> found;
  for (const auto* item : nodes) {
    if (!item->is_scalar() || item->text.empty() || item->text.size() > text_bytes_max)
      return bad(*entry, "expected text or a list of text, with nothing empty in it");
    found.push_back(item->text);
  }
  written_[std::string{key}] = found;
  out = std::move(found);
  return true;
}

std::size_t map_reader::chosen(std::string_view key, std::span<const std::string_view> names,
                               std::span<const std::string_view> later) {
  const auto* entry = scalar(key, list_of(names, "or"));
  if (entry == nullptr)
    return names.size();
  const std::string_view value = entry->value.text;
  if (std::find(later.begin(), later.end(), value) != later.end()) {
    bad(*entry,
        ticked(value) + " is not available in this release; there is " + list_of(names, "and"),
        errc::not_available);
    return names.size();
  }
  const auto found = std::find(names.begin(), names.end(), value);
  if (found == names.end()) {
    bad(*entry,
        "expected " + list_of(names, "or") + ", not " + ticked(value) + did_you_mean(value, names));
    return names.size();
  }
  written_[std::string{key}] = std::string{value};
  return static_cast<std::size_t>(found - names.begin());
}

result<std::vector<std::string>> secret_references(std::string_view text) {
  constexpr std::string_view opening = "${secret:";
  std::vector<std::string> out;
  for (auto at = text.find("${"); at != std::string_view::npos; at = text.find("${", at + 2)) {
    const auto end = text.find('}', at);
    if (!text.substr(at).starts_with(opening) || end == std::string_view::npos)
      return error{errc::schema, "a secret is written ${secret:NAME}"};
    const auto name = text.substr(at + opening.size(), end - at - opening.size());
    if (!is_secret_name(name))
      return error{errc::schema,
                   ticked(name) + " is not a secret's name: lower-case letters, digits, - and _"};
    out.emplace_back(name);
  }
  return out;
}

result<std::string> secret_reference(std::string_view text) {
  auto names = secret_references(text);
  if (!names)
    return names.error();
  if (names->size() != 1 ||
      text.size() != names->front().size() + std::string_view{"${secret:}"}.size())
    return error{
      errc::schema,
      "expected \"${secret:NAME}\"; the secret itself does not belong into a file like this"};
  return std::move(names->front());
}

}  // namespace holdfast
