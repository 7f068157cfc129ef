"""`ricci cache`: what generated code is kept, where, and how large."""

from __future__ import annotations

import time


def cache(action: str, as_json: bool) -> int:
    """List, locate or empty the cache."""
    from ricci.backends.cache import clear, entries, folder, size

    if action == "path":
        print(folder())
        return 0
    if action == "clear":
        before = size()
        count = clear()
        print(f"removed {count} entries, {before / 1e6:.1f} MB")
        return 0
    listed = entries()
    if as_json:
        import json

        print(json.dumps({"path": str(folder()), "entries": [{"name": e.name, "bytes": e.bytes, "used": e.used} for e in listed]}))
        return 0
    for e in listed:
        print(f"{e.name:40} {e.bytes / 1e3:9.1f} kB  {time.strftime('%Y-%m-%d %H:%M', time.localtime(e.used))}")
    print(f"{len(listed)} entries, {sum(e.bytes for e in listed) / 1e6:.1f} MB in {folder()}")
    return 0
