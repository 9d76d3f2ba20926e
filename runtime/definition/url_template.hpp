#pragma once
// The URL of an HTTP tool: `http://127.0.0.1:9100/invoices/{id}?expand={what}`.

#include <string>
#include <string_view>
#include <vector>

#include "schemas/error.hpp"

namespace holdfast {

/// The names in braces, in order. What a model writes can fill path and query and nothing else: a brace in scheme, host
/// or port is refused, and so is everything that would let a value reach them. Errors: `schema`.
result<std::vector<std::string>> url_placeholders(std::string_view url);

}  // namespace holdfast
