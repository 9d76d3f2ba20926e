#pragma once
// The API's description: OpenAPI 3.1, made from the table that the router is made from. Pure.

#include <span>
#include <string>

#include "runtime/gateway/api_table.hpp"

namespace holdfast {

std::string openapi_document(std::span<const api_call> calls);

}  // namespace holdfast
