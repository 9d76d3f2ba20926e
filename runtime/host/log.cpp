#include "runtime/host/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <memory>

namespace holdfast::log {

namespace {

constexpr std::array names{"trace", "debug", "info", "warn", "error", "off"};

std::atomic<level> threshold{level::off};
std::shared_ptr<spdlog::logger> sink;
bool as_json = false;

/// JSON's escapes; other control characters become spaces.
void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  out += '"';
}

bool is_plain(std::string_view text) {
  return !text.empty() && text.find_first_of(" \"\n\t=\\") == std::string_view::npos;
}

}  // namespace

void open(std::string_view level_name, std::string_view format) {
  auto chosen = level::info;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (level_name == names[i])
      chosen = static_cast<level>(i);
  as_json = format == "json";
  sink =
    std::make_shared<spdlog::logger>("holdfast", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  sink->set_level(spdlog::level::trace);
  sink->set_pattern(as_json ? R"({"at":"%Y-%m-%dT%H:%M:%S.%e%z",%v})" : "%Y-%m-%dT%H:%M:%S.%e %v");
  sink->flush_on(spdlog::level::trace);
  threshold = chosen;
}

bool enabled(level at) noexcept {
  return at >= threshold.load(std::memory_order_relaxed) && at != level::off;
}

void write(level at, std::string_view event, std::initializer_list<field> fields) {
  if (!enabled(at) || !sink)
    return;
  std::string line;
  if (as_json) {
    line = R"("level":")" + std::string{names[static_cast<std::size_t>(at)]} + R"(","event":)";
    append_quoted(line, event);
    for (const auto& f : fields) {
      line += ',';
      append_quoted(line, f.name);
      line += ':';
      append_quoted(line, f.value);
    }
  } else {
    line = std::string{names[static_cast<std::size_t>(at)]} + ' ' + std::string{event};
    for (const auto& f : fields) {
      line.append(1, ' ').append(f.name).append(1, '=');
      if (is_plain(f.value))
        line += f.value;
      else
        append_quoted(line, f.value);
    }
  }
  sink->log(spdlog::level::info, line);
}

}  // namespace holdfast::log
