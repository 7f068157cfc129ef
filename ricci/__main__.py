"""`python -m ricci` and the `ricci` command."""

from __future__ import annotations


def main() -> None:
    from ricci.faces.cli import main as command

    command()


if __name__ == "__main__":
    main()
