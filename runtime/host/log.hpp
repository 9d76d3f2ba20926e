#pragma once
// Structured lines on stderr: a level, a stable event id, and fields. Never payloads, never secrets.

#include <initializer_list>
#include <string>
#include <string_view>

namespace holdfast::log {

enum class level { trace, debug, info, warn, error, off };

struct field {
  std::string_view name;
  std::string value;
};

/// Thread-safe. Before it is called lines go nowhere. `format`: `text` or `json`. An unknown level is `info`.
void open(std::string_view level_name, std::string_view format);

bool enabled(level at) noexcept;
void write(level at, std::string_view event, std::initializer_list<field> fields = {});

inline void debug(std::string_view event, std::initializer_list<field> fields = {}) {
  write(level::debug, event, fields);
}
inline void info(std::string_view event, std::initializer_list<field> fields = {}) {
  write(level::info, event, fields);
}
inline void warn(std::string_view event, std::initializer_list<field> fields = {}) {
  write(level::warn, event, fields);
}
inline void error(std::string_view event, std::initializer_list<field> fields = {}) {
  write(level::error, event, fields);
}

}  // namespace holdfast::log
