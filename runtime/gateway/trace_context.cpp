#include "runtime/gateway/trace_context.hpp"

namespace holdfast {

std::string_view valid_traceparent(std::string_view header) noexcept {
  if (header.size() != 55 || header[2] != '-' || header[35] != '-' || header[52] != '-')
    return {};
  for (std::size_t i = 0; i < header.size(); ++i) {
    const char c = header[i];
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (!hex && i != 2 && i != 35 && i != 52)
      return {};
  }
  if (header.substr(0, 2) == "ff" ||
      header.substr(3, 32).find_first_not_of('0') == std::string_view::npos ||
      header.substr(36, 16).find_first_not_of('0') == std::string_view::npos)
    return {};
  return header;
}

}  // namespace holdfast
