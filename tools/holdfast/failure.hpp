#pragma once
// How a command ends: the exit codes of the contract, and the one exception that carries them.

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::cli {

/// Exit codes of INTERFACE §1.
enum class exit_code : int {
  done = 0,
  failed = 1,  ///< a run that failed or was cancelled, findings of doctor
  usage = 2,   ///< wrong arguments or invalid input
  unauthorised = 3,
  not_found = 4,
  refused = 5,      ///< conflict, or refused
  unavailable = 6,  ///< no answer, or still open when the wait ended
  interrupted = 130,
};

/// The exit code for an answer with this status and problem `code` (which may be empty).
exit_code exit_code_of(unsigned http_status, std::string_view problem_code) noexcept;

/// Why a command could not do what it was asked. Verbs and the client throw it; `run_command` is
/// the only place that catches it, prints it to stderr and exits with its code.
class command_failure : public std::exception {
public:
  command_failure(exit_code code_, std::string message_)
    : code(code_), message(std::move(message_)) {}

  const char* what() const noexcept override { return message.c_str(); }

  exit_code code;
  std::string message;               ///< one line; says what to do; never a secret
  std::vector<std::string> details;  ///< further lines, one per error of a problem document
  unsigned http_status = 0;          ///< 0: no answer came
  bool may_have_arrived = false;     ///< no answer, but the request was sent
  std::string problem_code;          ///< `code` of the problem document
  std::uint64_t retry_after_s = 0;   ///< 0: the server named none
};

/// Shorthand for a wrong argument.
[[noreturn]] void refuse_usage(std::string message);

/// Reads an answer with status >= 400: an RFC 9457 document, or anything else.
/// `retry_after` is the value of that header, empty when absent.
command_failure failure_of_answer(unsigned status, std::string_view body,
                                  std::string_view retry_after = {});

}  // namespace holdfast::cli
