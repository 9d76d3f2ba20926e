#include "tools/holdfast/cli.hpp"

int main(int argc, char** argv) { return holdfast::run_cli(argc, argv); }
