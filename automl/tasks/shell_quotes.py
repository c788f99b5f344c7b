"""Which parts of a shell command stand within quotes."""

from __future__ import annotations


def quoted_positions(command: str) -> set[int]:
    """Positions of the characters of a POSIX shell command that stand within single or double quotes.

    A command substitution within double quotes, ``"$(...)"``, starts unquoted. Here-documents and comments are read
    like the rest.
    """
    quoted: set[int] = set()
    contexts = [""]  # from the outermost: "" for a command, or the quote that is open
    i = 0
    while i < len(command):
        character, inside = command[i], contexts[-1]
        if inside:
            quoted.add(i)
        if character == "\\" and inside != "'":
            i += 1  # the next character stands for itself
            if inside:
                quoted.add(i)
        elif inside and character == inside:
            contexts.pop()
        elif not inside and character in "'\"":
            contexts.append(character)
        elif inside != "'" and command.startswith("$(", i):
            contexts.append("")
            i += 1
        elif not inside and character == "(":
            contexts.append("")
        elif not inside and character == ")" and len(contexts) > 1:
            contexts.pop()
        i += 1
    return quoted
