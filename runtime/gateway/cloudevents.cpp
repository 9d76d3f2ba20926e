#include "runtime/gateway/cloudevents.hpp"

#include <array>

#include "runtime/gateway/base64.hpp"
#include "runtime/gateway/trace_context.hpp"
#include "runtime/net/url.hpp"
#include "schemas/units.hpp"

namespace holdfast {

namespace {

constexpr std::size_t attribute_bytes_max = 2'048;
constexpr std::size_t type_bytes_max = 256;

/// How much of CloudEvents is asked for.
enum class strictness : std::uint8_t {
  plain,       ///< `data` is required, nothing else; unknown members are refused
  cloudevent,  ///< id, source, type and specversion are required; extensions are allowed
};

bool has_control_characters(std::string_view text) noexcept {
  for (const char c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
      return true;
  return false;
}

/// Attributes are short, printable, and what CloudEvents says they are.
class attribute_check {
public:
  attribute_check(std::vector<problem_item>& problems, std::string prefix)
    : problems_(problems), prefix_(std::move(prefix)) {}

  void text(std::string_view name, std::string_view value,
            std::size_t bytes_max = attribute_bytes_max) {
    if (value.size() > bytes_max)
      note(name, "is longer than " + std::to_string(bytes_max) + " bytes");
    else if (has_control_characters(value))
      note(name, "holds a control character");
  }
  void required(std::string_view name, std::string_view value) {
    if (value.empty())
      note(name, "is missing: CloudEvents 1.0 requires it");
  }
  void all(const event& e, strictness how, std::string_view specversion) {
    if (how == strictness::cloudevent) {
      required("id", e.id);
      required("source", e.source);
      required("type", e.type);
      if (specversion != "1.0")
        note("specversion", "must be \"1.0\"");
    }
    text("id", e.id);
    text("source", e.source);
    text("type", e.type, type_bytes_max);
    text("subject", e.subject);
    text("datacontenttype", e.content_type, type_bytes_max);
    if (!e.time.empty())
      if (const auto at = parse_time(e.time); !at)
        note("time", "is not RFC 3339: " + at.error().context);
  }
  void note(std::string_view name, std::string detail) {
    problems_.push_back({prefix_ + "/" + std::string{name}, std::move(detail)});
  }

private:
  std::vector<problem_item>& problems_;
  std::string prefix_;
};

refusal schema_refusal(std::vector<problem_item> problems) {
  std::string detail = "the event is not what this call takes";
  if (!problems.empty())
    detail += ": " +
              (problems.front().pointer.empty() ? std::string{"it"} : problems.front().pointer) +
              " " + problems.front().detail;
  return {{errc::schema, std::move(detail)}, std::move(problems)};
}

/// An `application/json` type is left out of the event: it is the default.
std::string content_type_of(std::string_view given) {
  return media_of(given) == media::json ? std::string{} : std::string{given};
}

/// The payload of a structured event, as bytes.
void read_data(member_reader& members, event& out) {
  const auto data = members.raw("data");
  const auto encoded = members.raw("data_base64");
  if (!encoded.empty() && encoded != "null") {
    if (!data.empty()) {
      members.note("/data_base64", "cannot stand beside data");
      return;
    }
    auto bytes = from_base64(members.text("data_base64"));
    if (!bytes)
      members.note("/data_base64", "is not base64");
    else
      out.data = std::move(*bytes);
    return;
  }
  if (!out.content_type.empty() && !is_json_type(out.content_type))
    if (auto text = string_value(data)) {
      out.data = std::move(*text);
      return;
    }
  out.data = data;
}

/// `object` passed `check_json`.
void read_object(std::string_view object, strictness how, const std::string& prefix, event& out,
                 std::vector<problem_item>& problems) {
  const auto read = [&](bool strict) {
    return member_reader{
      object,
      {"data", "type", "id", "source", "specversion", "subject", "time", "datacontenttype",
       "dataschema", "data_base64", "traceparent", "tracestate"},
      strict};
  };
  auto members = read(how == strictness::plain);
  if (how == strictness::plain && !members.raw("specversion").empty()) {
    how = strictness::cloudevent;
    members = read(false);
  }
  out.id = members.text("id");
  out.source = members.text("source");
  out.type = members.text("type");
  out.subject = members.text("subject");
  out.time = members.text("time");
  out.content_type = content_type_of(members.text("datacontenttype"));
  out.traceparent = valid_traceparent(members.text("traceparent"));
  const std::string specversion = members.text("specversion");
  if (members.good()) {
    if (how == strictness::plain && members.raw("data").empty() &&
        members.raw("data_base64").empty())
      members.note(
        "/data", "is missing: send {\"data\": …}, with \"type\" beside it if the agent wants one");
    read_data(members, out);
  }
  for (const auto& problem : members.problems())
    problems.push_back({prefix + problem.pointer, problem.detail});
  if (members.good())
    attribute_check{problems, prefix}.all(out, how, specversion);
}

std::optional<refusal> read_structured(std::string_view body, const body_limits& limits,
                                       strictness how, event& out) {
  if (auto checked = check_body(body, limits); !checked)
    return refusal{checked.error(), {}};
  std::vector<problem_item> problems;
  read_object(body, how, {}, out, problems);
  if (!problems.empty())
    return schema_refusal(std::move(problems));
  return std::nullopt;
}

/// A `ce-` header, percent-decoded.
std::optional<refusal> read_attribute(const net::header_view& header, std::string& out) {
  const error unreadable{errc::malformed, "the header " + std::string{header.name.substr(0, 64)} +
                                            " is given twice, or not percent-encoded UTF-8"};
  auto text = net::percent_decode(header.value);
  if (!out.empty() || !text || !is_utf8(*text))
    return refusal{unreadable, {}};
  out = std::move(*text);
  return std::nullopt;
}

std::optional<refusal> read_binary(const net::http_request& request, const body_limits& limits,
                                   event& out) {
  using net::equals_ignoring_case;
  std::string specversion;
  const std::array<std::pair<std::string_view, std::string*>, 7> attributes{
    {{"id", &out.id},
     {"source", &out.source},
     {"type", &out.type},
     {"specversion", &specversion},
     {"subject", &out.subject},
     {"time", &out.time},
     {"traceparent", &out.traceparent}}};
  for (const auto& header : request.headers()) {
    if (header.name.size() < 4 || !equals_ignoring_case(header.name.substr(0, 3), "ce-"))
      continue;
    for (const auto& [name, value] : attributes)
      if (equals_ignoring_case(header.name.substr(3), name))
        if (auto refused = read_attribute(header, *value))
          return refused;
  }
  out.traceparent = valid_traceparent(out.traceparent);
  const auto content_type = request.header("content-type");
  if (request.body.size() > limits.bytes_max)
    return refusal{
      {errc::too_large, "the body is larger than " + std::to_string(limits.bytes_max) + " bytes"},
      {}};
  if (!request.body.empty() && is_json_type(content_type)) {
    if (auto checked = check_json(request.body, limits.depth_max); !checked)
      return refusal{checked.error(), {}};
  }
  if (!request.body.empty() || !content_type.empty())
    out.content_type = content_type_of(content_type);
  out.data = request.body;
  std::vector<problem_item> problems;
  attribute_check{problems, {}}.all(out, strictness::cloudevent, specversion);
  if (!problems.empty())
    return schema_refusal(std::move(problems));
  return std::nullopt;
}

bool is_binary(const net::http_request& request) noexcept {
  return !request.header("ce-specversion").empty() || !request.header("ce-type").empty() ||
         !request.header("ce-id").empty();
}

void take_traceparent(const net::http_request& request, event& out) {
  if (out.traceparent.empty())
    out.traceparent = valid_traceparent(request.header("traceparent"));
}

std::optional<refusal> read_batch(std::string_view body, const body_limits& limits,
                                  std::size_t events_max, std::vector<event>& out) {
  if (auto checked = check_body(body, limits); !checked)
    return refusal{checked.error(), {}};
  array_walk walk{body};
  std::vector<problem_item> problems;
  if (!walk.is_array())
    return schema_refusal({{"", "must be a JSON array of CloudEvents"}});
  constexpr std::size_t problems_max = 16;
  while (walk.next() && problems.size() < problems_max) {
    if (out.size() == events_max)
      return refusal{{errc::too_large, "a batch has at most " + std::to_string(events_max) +
                                         " events; send several"},
                     {}};
    event& one = out.emplace_back();
    read_object(walk.value(), strictness::cloudevent, "/" + std::to_string(out.size() - 1), one,
                problems);
  }
  if (!problems.empty())
    return schema_refusal(std::move(problems));
  return std::nullopt;
}

constexpr std::string_view wanted_direct =
  "application/json {\"data\": …}, or a CloudEvent (application/cloudevents+json, or ce- headers)";
constexpr std::string_view wanted_routed =
  "CloudEvents: application/cloudevents+json, application/cloudevents-batch+json, or ce- headers";

}  // namespace

std::optional<refusal> read_direct_event(const net::http_request& request,
                                         const body_limits& limits, event& out) {
  const auto content_type = request.header("content-type");
  const media kind = media_of(content_type);
  std::optional<refusal> refused;
  if (kind == media::cloudevents)
    refused = read_structured(request.body, limits, strictness::cloudevent, out);
  else if (kind != media::cloudevents_batch && is_binary(request))
    refused = read_binary(request, limits, out);
  else if (kind == media::json || kind == media::none)
    refused = read_structured(request.body, limits, strictness::plain, out);
  else
    return refusal{unsupported_media(content_type, wanted_direct), {}};
  if (refused)
    return refused;
  if (out.type.empty())
    out.type = direct_event_type;
  take_traceparent(request, out);
  return std::nullopt;
}

std::optional<refusal> read_routed_events(const net::http_request& request,
                                          const body_limits& limits, std::size_t events_max,
                                          std::vector<event>& out, bool& batch) {
  const auto content_type = request.header("content-type");
  const media kind = media_of(content_type);
  batch = kind == media::cloudevents_batch;
  std::optional<refusal> refused;
  if (batch)
    refused = read_batch(request.body, limits, events_max, out);
  else if (kind != media::cloudevents && is_binary(request))
    refused = read_binary(request, limits, out.emplace_back());
  else if (kind == media::cloudevents || kind == media::json || kind == media::none)
    refused = read_structured(request.body, limits, strictness::cloudevent, out.emplace_back());
  else
    return refusal{unsupported_media(content_type, wanted_routed), {}};
  if (refused)
    return refused;
  for (auto& one : out)
    take_traceparent(request, one);
  return std::nullopt;
}

}  // namespace holdfast
