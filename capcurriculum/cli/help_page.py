"""How help is laid out: aligned columns without boxes, which read the same on a terminal and in a file."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts.help import HelpPanel
    from rich.console import Console, ConsoleOptions


class Columns:
    """A help formatter of Cyclopts, which imports what it needs of Rich when help is asked for."""

    def __call__(self, console: "Console", options: "ConsoleOptions", panel: "HelpPanel") -> None:
        """Print one group of verbs or options."""
        from cyclopts.help.specs import DefaultStyled, DescriptionRenderer
        from rich.table import Table

        grid, describe = Table.grid(padding=(0, 2, 0, 0)), DescriptionRenderer()
        grid.add_column(no_wrap=True, style="cyclopts.name")
        for entry in panel.entries:
            grid.add_row("  " + " ".join(entry.display_labels_with_metavar), describe(entry))
        if panel.entries:
            console.print(f"\n{panel.title}:")
            console.print(DefaultStyled(grid))

    def render_usage(self, console: "Console", options: "ConsoleOptions", usage: Any) -> None:
        """Print the line that shows how a verb is written."""
        console.print(f"Usage: {usage}", markup=False, highlight=False, soft_wrap=True)

    def render_description(self, console: "Console", options: "ConsoleOptions", description: Any) -> None:
        """Print what a verb does."""
        console.print(description, end="")
