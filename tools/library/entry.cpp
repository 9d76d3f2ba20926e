// `holdfast::main` of the shared library: a program that registers agents and calls it is a node.

#include "runtime/native/holdfast/agent.hpp"

namespace holdfast {

int run_cli(int argc, const char* const* argv);

inline namespace api {

int main(int argc, char** argv) { return run_cli(argc, argv); }

}  // namespace api
}  // namespace holdfast
