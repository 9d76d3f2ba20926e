#include "tests/unit/persistence/child.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

extern char** environ;

namespace holdfast::testing {

namespace {
constexpr int channel = 100;  // the child's end of the pipe
}

child::child(const std::string& test_case,
             const std::vector<std::pair<std::string, std::string>>& environment) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  in_ = ends[0];
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], channel);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);

  std::vector<std::string> variables;
  for (char** at = environ; *at != nullptr; ++at)
    variables.emplace_back(*at);
  for (const auto& [name, value] : environment)
    variables.push_back(name + "=" + value);
  std::vector<char*> env;
  for (auto& variable : variables)
    env.push_back(variable.data());
  env.push_back(nullptr);
  std::array<std::string, 3> arguments{"/proc/self/exe", "--test-case=" + test_case, "--no-skip"};
  std::array<char*, 4> argv{arguments[0].data(), arguments[1].data(), arguments[2].data(), nullptr};
  const auto spawned =
    ::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, argv.data(), env.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  REQUIRE(spawned == 0);
}

child::~child() {
  if (pid_ > 0) {
    kill();
    wait();
  }
  ::close(in_);
}

bool child::receive(void* bytes, std::size_t size) {
  auto* to = static_cast<char*>(bytes);
  for (std::size_t have = 0; have < size;) {
    const auto got = ::read(in_, to + have, size - have);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return false;
    have += static_cast<std::size_t>(got);
  }
  return true;
}

void child::kill() { ::kill(pid_, SIGKILL); }

int child::wait() {
  int ended = 0;
  while (::waitpid(pid_, &ended, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFSIGNALED(ended) ? -WTERMSIG(ended) : WEXITSTATUS(ended);
}

bool child::send(const void* bytes, std::size_t size) {
  return ::write(channel, bytes, size) == static_cast<ssize_t>(size);
}

std::string child::variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace holdfast::testing
