// The looks of the page: its style sheet, and the drawing of a coding group.
#pragma once

#include <string_view>

namespace understudy::report {

std::string_view style_sheet();
// How a parity query stands in for a lost answer, as inline SVG.
std::string_view group_diagram();

}  // namespace understudy::report
