#pragma once
// Errors as OpenAI and its imitators write them, and small readers of their JSON. For the codec
// only (openai.hpp).

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "runtime/model/bounded_json.hpp"
#include "schemas/effect.hpp"

namespace holdfast::model {

/// The member if it is a string, else empty.
std::string string_at(const json& object, const char* key);

/// The member if it is an object, else null.
const json* object_at(const json& object, const char* key);

/// The member if it is a count of tokens that can be believed.
std::optional<std::uint64_t> count_at(const json& object, const char* key);

struct provider_error {
  std::string text;  ///< bounded, on one line, without credentials
  std::string code;
  std::string type;
};

/// `{message, type, code}` or a plain text.
provider_error read_error(const json& problem, std::span<const std::string> secrets);

/// The status that an error inside a stream would have had.
unsigned status_of(const provider_error& problem);

failure_kind kind_of(unsigned status, const provider_error& problem);

/// The code that users see.
std::string code_of(failure_kind kind, unsigned status);

}  // namespace holdfast::model
