#include "persistence/commit_log.hpp"

#include <cstdio>
#include <cstdlib>

namespace holdfast {

std::uint64_t cut_epoch(const turn_record& record) noexcept {
  if (record.facts.size() != 1)
    return 0;
  const auto* cut = std::get_if<backup_cut>(&record.facts.front());
  return cut == nullptr ? 0 : cut->epoch;
}

void end_process(const error& why) {
  constexpr int exit_software = 70;  // sysexits.h EX_SOFTWARE
  std::fprintf(stderr, "holdfast: the data folder cannot be written, stopping: %s\n",
               why.context.c_str());
  std::_Exit(exit_software);
}

}  // namespace holdfast
