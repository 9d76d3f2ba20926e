#include "tools/holdfast/failure.hpp"

#include <doctest/doctest.h>

using namespace holdfast::cli;

TEST_CASE("exit codes: every status of the contract has the code of the contract") {
  const auto code = [](unsigned status, const char* problem = "") {
    return static_cast<int>(exit_code_of(status, problem));
  };
  CHECK(code(200) == 0);
  CHECK(code(202) == 0);
  for (unsigned status : {400u, 413u, 415u})
    CHECK(code(status) == 2);
  CHECK(code(422, "schema") == 2);
  CHECK(code(401) == 3);
  CHECK(code(403) == 3);
  CHECK(code(404, "unknown_type") == 4);
  CHECK(code(404, "not_found") == 4);
  CHECK(code(410, "gone") == 4);
  CHECK(code(409, "conflict") == 5);
  CHECK(code(409, "busy") == 5);
  CHECK(code(412) == 5);
  CHECK(code(422, "idempotency_conflict") == 5);
  CHECK(code(422, "not_available") == 5);
  CHECK(code(429, "mailbox_full") == 6);
  for (const auto* problem : {"overloaded", "draining", "no_quorum"})
    CHECK(code(503, problem) == 6);
  CHECK(code(500) == 1);
}

TEST_CASE("failures: a problem document gives its detail, code and every error with its place") {
  const auto failure = failure_of_answer(
    422,
    R"({"title":"Invalid","code":"schema","detail":"the definition is invalid","errors":[
      {"pointer":"/tools/0","detail":"unknown key","file":"a.yaml","line":7},{"pointer":"/x","detail":"missing"},
      {"pointer":"/y","detail":"b c.yaml:7:3: unknown key `typ`: use `type`"},{"pointer":"/z","detail":"bad: 7"}]})",
    {});
  CHECK(failure.code == exit_code::usage);
  CHECK(failure.message == "the definition is invalid [422 schema]");
  CHECK(failure.details == std::vector<std::string>{"a.yaml:7: unknown key", "/x: missing",
                                                    "b c.yaml:7:3: unknown key `typ`: use `type`",
                                                    "/z: bad: 7"});
}

TEST_CASE("failures: an answer that is no problem document still says its status") {
  const auto failure = failure_of_answer(503, "<html>", "7");
  CHECK(failure.code == exit_code::unavailable);
  CHECK(failure.message.find("503") != std::string::npos);
  CHECK(failure.retry_after_s == 7);
}
