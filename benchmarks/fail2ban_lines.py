"""Write out every line that fail2ban's inotify filter is given of a log: `python3 benchmarks/fail2ban_lines.py LOG`.

For a Python that has fail2ban and pyinotify, as that of a Debian with `apt install fail2ban`. It says `following` on
standard error once it does, and ends when its standard input does.
"""

from __future__ import annotations

import sys

from fail2ban.server.jail import Jail


def main() -> None:
    """Follow until the input ends."""
    jail = Jail("rotation", backend="pyinotify")

    def write(line: str, date: object = None) -> None:
        del date
        sys.stdout.write(f"{line}\n")

    jail.filter.processLineAndAdd = write
    jail.filter.addLogPath(sys.argv[1], autoSeek=False)
    jail.filter.start()
    sys.stderr.write("following\n")
    sys.stderr.flush()
    sys.stdin.read()
    jail.filter.stop()
    jail.filter.join()


if __name__ == "__main__":
    main()
