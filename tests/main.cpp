// The entry point of the tests: `understudy_tests --help` lists what can be chosen.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
