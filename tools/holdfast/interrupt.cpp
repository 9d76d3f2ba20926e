#include "tools/holdfast/interrupt.hpp"

#include <unistd.h>
#include <csignal>

#include <algorithm>
#include <array>
#include <atomic>

namespace holdfast::cli {

namespace {

// Two buffers, so that the handler never sees one half written.
std::array<std::array<char, 1'000>, 2> last_words;
std::array<std::size_t, 2> last_words_size{};
std::atomic<unsigned> last_words_current{0};
static_assert(std::atomic<unsigned>::is_always_lock_free);

extern "C" void end_process(int) {
  const auto i = last_words_current.load(std::memory_order_acquire) % 2;
  if (last_words_size[i] > 0) {
    const auto written = write(STDERR_FILENO, last_words[i].data(), last_words_size[i]);
    static_cast<void>(written);
  }
  _exit(130);
}

}  // namespace

void exit_on_interrupt() noexcept {
  struct sigaction at_interrupt {};
  at_interrupt.sa_handler = end_process;
  sigemptyset(&at_interrupt.sa_mask);
  sigaction(SIGINT, &at_interrupt, nullptr);
}

void say_on_interrupt(std::string_view text) noexcept {
  const auto next = last_words_current.load(std::memory_order_relaxed) + 1;
  const auto i = next % 2;
  last_words_size[i] = std::min(text.size(), last_words[i].size());
  std::copy_n(text.data(), last_words_size[i], last_words[i].data());
  last_words_current.store(next, std::memory_order_release);
}

}  // namespace holdfast::cli
