// Response → outcome (DESIGN §3 "HTTP outcomes").

#include <utility>

#include "runtime/model/bounded_json.hpp"
#include "runtime/model/http_failure.hpp"
#include "runtime/model/text.hpp"
#include "runtime/tool/http_tool.hpp"

namespace holdfast::tool {

namespace {

constexpr std::size_t head_bytes_max = 1 << 10;  // of a refusal's body
constexpr std::size_t marker_bytes_max = 96;

std::string_view trimmed(std::string_view text) noexcept {
  if (text.starts_with("\xEF\xBB\xBF"))
    text.remove_prefix(3);
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

/// Text, cut so that it fits with the marker.
std::string cut_text(std::string_view body, bool more) {
  std::string text = model::to_utf8(model::cut_at(body, output_bytes_max));
  if (!more && body.size() <= output_bytes_max && text.size() <= output_bytes_max)
    return text;
  text = model::cut_at(text, output_bytes_max - marker_bytes_max);
  text += "\n[cut: " + std::to_string(text.size()) + " bytes of " + (more ? "more than " : "") +
          std::to_string(body.size()) + " are shown]";
  return text;
}

std::string output_of(const http_response& response, const std::vector<std::string>& secrets) {
  const std::string body = model::without_secrets(response.body, secrets);
  const auto text = trimmed(body);
  if (text.empty() && !response.truncated)
    return "null";
  if (!response.truncated && text.size() <= output_bytes_max && model::is_json(text))
    return std::string{text};
  return model::to_text(
    model::json(cut_text(text.empty() ? std::string_view{body} : text, response.truncated)));
}

/// What a model, or a person, should know of a refusal.
std::string describe(const http_response& response, const std::vector<std::string>& secrets) {
  std::string out = "HTTP " + std::to_string(response.status);
  if (response.status >= 300 && response.status < 400) {
    out += ", redirects are not followed";
    if (const auto to = model::find_header(response.headers, "location"); !to.empty())
      out += " (" + model::one_line(model::without_secrets(std::string{to}, secrets), 256) + ")";
  }
  // A secret may lie across the cut: mask first, in somewhat more than is shown.
  std::string body{model::cut_at(response.body, 256 << 10)};
  body = model::without_secrets(std::move(body), secrets);
  if (const auto text = trimmed(body); !text.empty())
    out += ": " + model::one_line(text, head_bytes_max);
  return out;
}

}  // namespace

attempt_outcome outcome_of(const http_response& response, time_us now,
                           const std::vector<std::string>& secrets) {
  const unsigned status = response.status;
  if (status >= 200 && status < 300) {
    attempt_outcome out;
    out.status = outcome_status::succeeded;
    out.output = output_of(response, secrets);
    return out;
  }
  const auto wait_ms = model::retry_after_ms(response.headers, now).value_or(0);
  if (status == 429)
    return model::failed_attempt(failure_kind::throttled, "tool_throttled",
                                 describe(response, secrets), wait_ms);
  if (status >= 300 && status < 500 && status != 408)
    return model::failed_attempt(failure_kind::rejected, "tool_rejected",
                                 describe(response, secrets));
  // 408, 5xx, and what is no final status at all.
  return model::failed_attempt(failure_kind::transient, "tool_unavailable",
                               describe(response, secrets), wait_ms);
}

}  // namespace holdfast::tool
