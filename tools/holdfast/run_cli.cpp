// The one place where commands meet the process: streams, terminal, variables, clock, editor.

#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <iostream>

#include "tools/holdfast/cli.hpp"
#include "tools/holdfast/interrupt.hpp"

namespace holdfast {

namespace {

std::optional<std::string> variable(const char* name) {
  const auto* value = std::getenv(name);
  return value == nullptr ? std::nullopt : std::optional<std::string>{value};
}

std::size_t terminal_columns() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

time_us wall_clock() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

/// $VISUAL or $EDITOR may hold arguments, so a shell takes it apart; the file is not part of its
/// text.
bool open_editor(const std::string& file) {
  const auto child = fork();
  if (child == 0) {
    execlp("sh", "sh", "-c", "exec ${VISUAL:-${EDITOR:-vi}} \"$1\"", "sh", file.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
         WEXITSTATUS(status) == 0;
}

}  // namespace

int run_cli(int argc, const char* const* argv) {
  std::ios::sync_with_stdio(false);
  cli::command_host host{.in = std::cin, .out = std::cout, .err = std::cerr};
  host.in_is_terminal = isatty(STDIN_FILENO) == 1;
  host.out_is_terminal = isatty(STDOUT_FILENO) == 1;
  host.err_is_terminal = isatty(STDERR_FILENO) == 1;
  host.columns = terminal_columns();
  host.variable = variable;
  host.now = wall_clock;
  host.edit = open_editor;
  host.dev = run_dev;
  host.serve = run_serve;
  host.doctor_folder = doctor_folder;
  host.restore_folder = restore_folder;
  host.exit_on_interrupt = cli::exit_on_interrupt;
  return cli::run_command({argv + (argc > 0 ? 1 : 0), argv + argc}, host);
}

}  // namespace holdfast
