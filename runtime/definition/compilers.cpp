#include "runtime/definition/compilers.hpp"

#include "runtime/definition/json_schema.hpp"
#include "runtime/expression/jq.hpp"

namespace holdfast {

compilers standard_compilers() { return {compile_jq, compile_json_schema}; }

}  // namespace holdfast
