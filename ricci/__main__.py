"""`python -m ricci` and the `ricci` command."""

from __future__ import annotations


def main() -> None:
    try:
        from ricci.faces.cli import main as command

        command()
    except KeyboardInterrupt:  # before a command has begun
        import sys

        print("interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
