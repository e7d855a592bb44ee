#include "tools/report/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "kernels/check.h"
#include "tools/report/markup.h"

namespace understudy::report {
namespace {

std::string pad(const std::string& text, std::size_t width, bool right) {
  const std::string space(width - std::min(width, display_width(text)), ' ');
  return right ? space + text : text + space;
}

void check_widths(const Table& table) {
  for (const Section& section : table.sections)
    for (const Row& row : section.rows)
      check(row.cells.size() == table.columns.size() &&
                (row.marks.empty() || row.marks.size() == row.cells.size()),
            "table \"{}\": a row of {} cells and {} marks under {} columns", table.title,
            row.cells.size(), row.marks.size(), table.columns.size());
}

// Cells in lines, the first line or lines being the head; columns as wide as their widest cell.
using Grid = std::vector<std::vector<std::string>>;

std::string aligned(const Grid& grid, std::size_t head, const std::vector<bool>& right) {
  std::vector<std::size_t> widths(right.size());
  for (const auto& line : grid)
    for (std::size_t i = 0; i < line.size(); ++i)
      widths[i] = std::max(widths[i], display_width(line[i]));
  std::string out;
  std::size_t total = 3 * (widths.size() - 1);
  for (const std::size_t width : widths) total += width;
  for (std::size_t n = 0; n < grid.size(); ++n) {
    std::string text;
    for (std::size_t i = 0; i < grid[n].size(); ++i)
      text += (i ? "   " : "") + pad(grid[n][i], widths[i], right[i]);
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
    if (n + 1 == head) {
      for (std::size_t i = 0; i < total; ++i) out += "─";
      out += "\n";
    }
  }
  return out;
}

std::string label(const Column& column) {
  return column.brief.empty() ? column.title : column.brief;
}

std::string plain_cell(const Row& row, std::size_t i) {
  const bool marked = !row.marks.empty() && !row.marks[i].empty();
  return printable(row.cells[i]) + (marked ? " (" + printable(row.marks[i]) + ")" : "");
}

std::string raised(const Row& row, std::size_t i) {
  if (row.marks.empty() || row.marks[i].empty()) return "";
  return fmt::format("<sup>{}</sup>", escape(row.marks[i]));
}

// The attribute of a column's cells, with a space before it; "" for none.
std::string class_of(const Column& column) {
  if (!column.right && !column.published) return "";
  return fmt::format(R"( class="{}{}{}")", column.right ? "n" : "",
                     column.right && column.published ? " " : "",
                     column.published ? "published" : "");
}

std::string plain_upright(const Table& table, const Section& section) {
  Grid grid(2 + section.rows.size());
  std::vector<bool> right;
  bool units = false;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const Column& column = table.columns[i];
    if (!column.in_plain_text) continue;
    grid[0].push_back(printable(label(column)));
    grid[1].push_back(column.brief.empty() ? printable(column.unit) : "");
    units = units || !grid[1].back().empty();
    right.push_back(column.right);
    for (std::size_t n = 0; n < section.rows.size(); ++n)
      grid[2 + n].push_back(plain_cell(section.rows[n], i));
  }
  if (!units) grid.erase(grid.begin() + 1);
  return aligned(grid, units ? 2 : 1, right);
}

std::string plain_turned(const Table& table, const Section& section) {
  constexpr std::size_t name_width = 16;
  std::vector<std::vector<std::string>> names;
  std::size_t head = 1;
  for (const Row& row : section.rows) {
    names.push_back(wrapped(printable(row.cells.front()), name_width));
    head = std::max(head, names.back().size());
  }
  Grid grid(head);
  for (std::size_t n = 0; n < head; ++n) {
    grid[n].emplace_back();
    for (const auto& lines : names)
      grid[n].push_back(n + lines.size() < head ? "" : lines[n + lines.size() - head]);
  }
  for (std::size_t i = 1; i < table.columns.size(); ++i) {
    if (!table.columns[i].in_plain_text) continue;
    grid.push_back({printable(label(table.columns[i]))});
    for (const Row& row : section.rows) grid.back().push_back(plain_cell(row, i));
  }
  std::vector<bool> right(section.rows.size() + 1, true);
  right.front() = false;
  return aligned(grid, head, right);
}

// 0 → "a", 25 → "z", 26 → "aa".
std::string letters(std::size_t n) {
  std::string out;
  for (++n; n > 0; n = (n - 1) / 26) out.insert(0, 1, static_cast<char>('a' + (n - 1) % 26));
  return out;
}

}  // namespace

std::string Footnotes::mark(const std::string& words) {
  if (words.empty()) return "";
  const auto at = std::find(words_.begin(), words_.end(), words);
  const auto index = static_cast<std::size_t>(at - words_.begin());
  if (at == words_.end()) words_.push_back(words);
  return letters(index);
}

std::vector<std::string> Footnotes::notes() const {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < words_.size(); ++i)
    all.push_back(fmt::format("{}: {}", letters(i), words_[i]));
  return all;
}

std::string html(const Table& table) {
  check_widths(table);
  std::string out = R"(<div class="scroll"><table><thead><tr>)";
  auto to = std::back_inserter(out);
  for (const Column& column : table.columns) {
    fmt::format_to(to, R"(<th scope="col"{}>{})", class_of(column), escape(column.title));
    if (!column.unit.empty()) fmt::format_to(to, "<small>{}</small>", escape(column.unit));
    out += "</th>";
  }
  out += "</tr></thead>";
  for (const Section& section : table.sections) {
    out += "<tbody>";
    if (!section.title.empty())
      fmt::format_to(to, R"(<tr class="section"><th scope="rowgroup" colspan="{}">{}</th></tr>)",
                     table.columns.size(), escape(section.title));
    for (const Row& row : section.rows) {
      fmt::format_to(to, R"(<tr{}><th scope="row">{}{}</th>)", row.rival ? R"( class="rival")" : "",
                     escape(row.cells.front()), raised(row, 0));
      for (std::size_t i = 1; i < row.cells.size(); ++i)
        fmt::format_to(to, "<td{}>{}{}</td>", class_of(table.columns[i]), escape(row.cells[i]),
                       raised(row, i));
      out += "</tr>";
    }
    out += "</tbody>";
  }
  return out + "</table></div>";
}

std::string plain(const Table& table) {
  check_widths(table);
  std::string out = printable(table.title) + "\n";
  for (const Section& section : table.sections) {
    if (!section.title.empty()) out += printable(section.title) + "\n";
    out += "\n";
    out +=
        table.turned_in_plain_text ? plain_turned(table, section) : plain_upright(table, section);
  }
  return out;
}

}  // namespace understudy::report
