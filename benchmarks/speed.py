"""Measures speed and memory on this machine: `flora bench speed` as a script.

python benchmarks/speed.py --page docs/speed.md --charts docs/img      # everything; half an hour on 2 cores
python benchmarks/speed.py --quick --out /tmp/speed.json               # shows that it works
"""

from __future__ import annotations

import sys

from flora.cli import main

if __name__ == "__main__":
    main(["bench", "speed", *sys.argv[1:]])
