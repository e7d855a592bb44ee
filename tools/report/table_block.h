// A table with its title and its notes, as it stands on the page and on the terminal.
#pragma once

#include <string>

#include "tools/report/table.h"

namespace understudy::report {

// Under a heading of that level, 2 to 6.
std::string html_block(const Table& table, int level = 3);
// To be opened by the reader; `kind` is a class of the style sheet: "facts", "dense".
std::string folded_block(const Table& table, const char* kind);
// Ends with an empty line.
std::string plain_block(const Table& table);

// Too long to stand open on a page, and to be printed at all.
bool is_long(const Table& table);

}  // namespace understudy::report
