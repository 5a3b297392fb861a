"""Text for a terminal: whatever comes from a store, a file or a server is shown there, never obeyed.

A name may hold escape codes that move the cursor, or characters that turn the line around. Every command prints
through `say`, or through `printable` where rich draws a table; rich's own markup is escaped there too.
"""

LAYOUT = "\n\t"  # the control characters that only lay out a text


def printable(text: object, keep: str = LAYOUT) -> str:
    """The text with an escape such as \\\\x1b in place of each character that can't be printed, except those in `keep`.

    These are the control characters, whether one byte (ESC, CR) or C1; the overrides of direction; invisible, private
    and unassigned characters; and lone surrogates.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(it if it.isprintable() or it in keep else it.encode("unicode_escape").decode() for it in text)


def in_a_cell(text: object) -> str:
    """The text for a cell of a table or a line of its own: line breaks and tabs are escaped too."""
    return printable(text, keep="")


def say(text: object, *, err: bool = False) -> None:
    """Print the text as `printable` has it."""
    import typer

    typer.echo(printable(text), err=err)
