#pragma once

namespace holdfast::cli {

/// The version of this binary, `0.1.0`.
inline constexpr const char* version_text() noexcept {
#ifdef HOLDFAST_VERSION
  return HOLDFAST_VERSION;
#else
  return "0.1.0";
#endif
}

}  // namespace holdfast::cli
