#include "persistence/commit_log.hpp"

#include <cstdio>
#include <cstdlib>

namespace holdfast {

void end_process(const error& why) {
  constexpr int exit_software = 70;  // sysexits.h EX_SOFTWARE
  std::fprintf(stderr, "holdfast: the data folder cannot be written, stopping: %s\n",
               why.context.c_str());
  std::_Exit(exit_software);
}

}  // namespace holdfast
