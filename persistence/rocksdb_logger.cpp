#include "persistence/rocksdb_logger.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace holdfast {

void rocksdb_logger::Logv(rocksdb::InfoLogLevel level, const char* format, va_list values) {
  if (!warn_ || level < rocksdb::WARN_LEVEL)
    return;
  std::array<char, 1'024> line;
  const int wanted = std::vsnprintf(line.data(), line.size(), format, values);
  if (wanted < 0)
    return;
  std::string_view said{line.data(), std::min<std::size_t>(wanted, line.size() - 1)};
  while (!said.empty() && said.back() == '\n')
    said.remove_suffix(1);
  warn_(said);
}

}  // namespace holdfast
