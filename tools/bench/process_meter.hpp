#pragma once
// What this process used.

#include <sys/resource.h>

namespace holdfast::bench {

inline rusage usage_now() {
  rusage now{};
  ::getrusage(RUSAGE_SELF, &now);
  return now;
}

inline double cpu_us_of(const rusage& used) {
  const auto us = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec);
  };
  return us(used.ru_utime) + us(used.ru_stime);
}

/// From its making until it is asked.
class process_meter {
public:
  double cpu_us() const { return cpu_us_of(usage_now()) - cpu_us_of(from_); }
  /// Times that a thread gave up its core to wait.
  double handoffs() const { return static_cast<double>(usage_now().ru_nvcsw - from_.ru_nvcsw); }

private:
  rusage from_ = usage_now();
};

}  // namespace holdfast::bench
